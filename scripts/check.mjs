// All that a contributor runs before a commit, within a minute: types, lint, dead code, drift in what is generated, the
// build, and the tests but those of kernels and those that take long
// (test/longest-first.ts). `npm test` runs all tests.
import { spawn, spawnSync } from 'node:child_process'

const steps = [
  ['types', ['npx', 'tsc', '--noEmit']],
  ['lint', ['npx', 'biome', 'check', '--error-on-warnings', '.']],
  ['dead code', ['npx', 'knip']],
  ['drift', ['npm', 'run', '--silent', 'generate', '--', '--check']],
  ['build', ['npm', 'run', '--silent', 'build']],
]

/** Runs a step; what it prints is shown as one when it has ended, and only of one that failed. */
function run([name, [command, ...args]]) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        said += text
      })
    }
    child.once('error', (error) => {
      said += error.message
    })
    child.once('close', (code) => {
      console.log(code === 0 ? `${name}: well` : `\n== ${name}\n${said}`)
      resolve(code === 0 ? [] : [name])
    })
  })
}

const began = Date.now()
const failed = (await Promise.all(steps.map(run))).flat()
if (!failed.includes('build')) {
  const env = { ...process.env, QUSB_TESTS: 'short' }
  const tests = spawnSync('npx', ['vitest', 'run'], { stdio: 'inherit', env })
  if (tests.status !== 0) failed.push('tests')
}
const seconds = Math.round((Date.now() - began) / 1000)
console.log(failed.length === 0 ? `\nAll is well, after ${seconds} s.` : `\nFailed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
