// All that a contributor runs: types, lint, dead code, build, tests, and no drift in what is generated.
import { spawnSync } from 'node:child_process'

const steps = [
  ['types', ['npx', 'tsc', '--noEmit']],
  ['lint', ['npx', 'biome', 'check', '--error-on-warnings', '.']],
  ['dead code', ['npx', 'knip']],
  ['drift', ['npm', 'run', '--silent', 'generate', '--', '--check']],
  ['build and tests', ['npm', 'test']],
]

const failed = []
for (const [name, [command, ...args]] of steps) {
  console.log(`\n== ${name}`)
  if (spawnSync(command, args, { stdio: 'inherit' }).status !== 0) failed.push(name)
}
console.log(failed.length === 0 ? '\nAll is well.' : `\nFailed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
