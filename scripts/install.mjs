// Installs from the lockfile, once per lockfile: `npm test` and `npm start` need nothing done before them.
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'

const time = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
if (time('node_modules/.package-lock.json') < time('package-lock.json')) {
  const npm = spawnSync('npm', ['ci', '--no-fund', '--no-audit'], { stdio: ['ignore', 2, 2] })
  if (npm.status !== 0) process.exit(npm.status ?? 1)
}
