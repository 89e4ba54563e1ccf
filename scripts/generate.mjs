// Writes what is made from the code: `npm run generate`; with --check it writes nothing, and fails where it would.
// First the table of commands, which the rest is made from: a file in src/commands is a command.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const check = process.argv.includes('--check')

/** The table of src/main.ts, by the paths of the files. */
function makeTable() {
  const rows = readdirSync(join(root, 'src/commands'), { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => ({ id: name.slice(0, -'.ts'.length).replaceAll('/', ':'), name }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ id, name }) => {
      const key = /^\w+$/.test(id) ? id : `'${id}'`
      return `  ${key}: () => import('./commands/${name}'),\n`
    })
  return `export const COMMANDS = {\n${rows.join('')}}\n`
}

const main = join(root, 'src/main.ts')
const source = readFileSync(main, 'utf8')
const [old] = /^export const COMMANDS = \{\n(?: .*\n)*\}\n/m.exec(source) ?? []
if (old === undefined) throw new Error('src/main.ts has no table of commands')
const table = makeTable()
if (old !== table && check) {
  console.error('src/main.ts has not the commands that src/commands has')
  console.error('Run: npm run generate')
  process.exitCode = 1
} else {
  if (old !== table)
    writeFileSync(
      main,
      source.replace(old, () => table),
    )
  const rest = ['scripts/ts.mjs', 'scripts/generate.ts', ...process.argv.slice(2)]
  process.exitCode = spawnSync(process.execPath, rest, { cwd: root, stdio: 'inherit' }).status ?? 1
}
