// All that a contributor runs before a commit, within a minute: types, lint, dead code, drift in what is generated, the
// build, and the tests but those of kernels and those that take long (test/longest-first.ts). `npm test` runs all tests.
import { spawn } from 'node:child_process'

const TYPES = ['tsc', '--noEmit', '--incremental', '--tsBuildInfoFile', '.cache/check.tsbuildinfo']

/** They need nothing of each other. */
const steps = [
  ['types', ['npx', ...TYPES]],
  ['lint', ['npx', 'biome', 'check', '--error-on-warnings', '.']],
  ['dead code', ['npx', 'knip']],
  ['drift', ['npm', 'run', '--silent', 'generate', '--', '--check']],
]

/** Runs a step, and tells how it went in one piece: what it printed only where it failed. */
async function run([name, [command, ...args]]) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      said += text
    })
  }
  const code = await end(child, (error) => {
    said += error.message
  })
  return { failed: code === 0 ? [] : [name], report: code === 0 ? `${name}: well` : `\n== ${name}\n${said}` }
}

/** The build, and beside the other steps the tests of what was built; vitest has the screen meanwhile. */
async function buildAndTest() {
  const build = await run(['build', ['npm', 'run', '--silent', 'build']])
  console.log(build.report)
  if (build.failed.length > 0) return build.failed
  const env = { ...process.env, QUSB_TESTS: 'short' }
  const tests = spawn('npx', ['vitest', 'run'], { stdio: 'inherit', env })
  return (await end(tests, (error) => console.error(error.message))) === 0 ? [] : ['tests']
}

/** The exit code of a process; null where it has none. */
function end(child, onError) {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      onError(error)
      resolve(null)
    })
    child.once('close', resolve)
  })
}

const began = Date.now()
const others = Promise.all(steps.map(run))
const untested = await buildAndTest()
const ended = await others
for (const { report } of ended) console.log(report)
const failed = [...ended.flatMap((step) => step.failed), ...untested]
const seconds = Math.round((Date.now() - began) / 1000)
console.log(failed.length === 0 ? `\nAll is well, after ${seconds} s.` : `\nFailed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
