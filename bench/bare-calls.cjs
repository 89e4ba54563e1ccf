// The least that a listing must do: all backends' qrexec calls at once, nothing read into anything.
// `node bare-calls.cjs QREXEC_CLIENT PROBE BACKEND…`
const { spawn } = require('node:child_process')
const { readFileSync } = require('node:fs')

const [client, probeFile, ...backends] = process.argv.slice(2)
const probe = readFileSync(probeFile)
let bytes = 0
for (const backend of backends) {
  const child = spawn(client, ['-w', '5', '-d', backend, 'DEFAULT:QUBESRPC qubes.VMShell dom0'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdin.on('error', () => {})
  child.stdin.end(probe)
  child.stdout.on('data', (chunk) => {
    bytes += chunk.length
  })
  child.on('close', (code) => {
    if (code !== 0) process.exitCode = 1
  })
}
process.on('exit', () => process.stdout.write(`${bytes} bytes\n`))
