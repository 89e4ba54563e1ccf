// The least that an attach or a detach must do: the grant as a file, the service's call, the grant gone.
// `node bare-passthrough.cjs attach|detach QREXEC_CLIENT POLICY_DIR BACKEND PORT FRONTEND`
const { spawnSync } = require('node:child_process')
const { renameSync, rmSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')

const [what, client, policyDir, backend, port, frontend] = process.argv.slice(2)

function call(target, service, input) {
  const { status } = spawnSync(client, ['-w', '5', '-d', target, `root:QUBESRPC ${service} dom0`], { input })
  if (status !== 0) throw new Error(`${service} in ${target} ended with ${status}`)
}

if (what === 'attach') {
  const grant = join(policyDir, '34-bare.policy')
  writeFileSync(
    join(policyDir, '.bare'),
    `qubes.USB +${port} ${frontend} ${backend} allow user=root autostart=no\n`,
  )
  renameSync(join(policyDir, '.bare'), grant)
  try {
    call(frontend, 'qubes.USBAttach', `${backend} ${port}\n`)
  } finally {
    rmSync(grant)
  }
} else {
  call(frontend, 'qubes.USBDetach', `${backend} ${port}\n`)
}
