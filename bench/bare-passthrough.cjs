// The least that an attach or a detach must do: the grant as a file, the service's call, the grant gone. With looks: both
// qubes are surveyed before and after, at once, and nothing of it is read into anything.
// `node bare-passthrough.cjs attach|attach-with-looks|detach QREXEC_CLIENT POLICY_DIR PROBES BACKEND PORT FRONTEND`, PROBES being the
// backend's and the frontend's.
const { spawn, spawnSync } = require('node:child_process')
const { readFileSync, renameSync, rmSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')

const [what, client, policyDir, backendProbe, frontendProbe, backend, port, frontend] = process.argv.slice(2)

function call(target, service, input) {
  const { status } = spawnSync(client, ['-w', '5', '-d', target, `root:QUBESRPC ${service} dom0`], { input })
  if (status !== 0) throw new Error(`${service} in ${target} ended with ${status}`)
}

function attach() {
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
}

async function look() {
  await Promise.all(
    [
      [backend, backendProbe],
      [frontend, frontendProbe],
    ].map(
      ([qube, probe]) =>
        new Promise((resolve, reject) => {
          const args = ['-w', '5', '-d', qube, 'DEFAULT:QUBESRPC qubes.VMShell dom0']
          const child = spawn(client, args, { stdio: ['pipe', 'pipe', 'inherit'] })
          child.stdin.on('error', () => {})
          child.stdin.end(readFileSync(probe))
          child.stdout.resume()
          child.on('close', (code) => {
            if (code === 0) resolve()
            else reject(new Error(`the survey of ${qube} ended with ${code}`))
          })
        }),
    ),
  )
}

async function main() {
  if (what === 'detach') return call(frontend, 'qubes.USBDetach', `${backend} ${port}\n`)
  if (what === 'attach') return attach()
  await look()
  attach()
  await look()
}

main().catch((error) => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
})
