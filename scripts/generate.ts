// Writes what is made from the code: oclif.manifest.json, the command reference of the README, the man pages.
// With --check it writes nothing, and fails where a file differs from what it would write.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeCommands, makeManifests } from './reference/commands.ts'
import { readChangelogDate } from './reference/date.ts'
import { renderManPage, renderOverview } from './reference/man.ts'
import { fillReadme } from './reference/markdown.ts'
import { renderOtherPages } from './reference/pages.ts'

const root = process.cwd()
const check = process.argv.includes('--check')

async function generate(): Promise<Map<string, string>> {
  const { all } = await makeManifests(root)
  const commands = describeCommands(all)
  const date = readChangelogDate(root)
  return new Map([
    ['oclif.manifest.json', `${JSON.stringify(all, null, 2)}\n`],
    ['README.md', fillReadme(readFileSync('README.md', 'utf8'), commands)],
    ['man/qusb.1', renderOverview(readFileSync('scripts/reference/overview.mdoc', 'utf8'), commands, date)],
    ...renderOtherPages((file) => readFileSync(join('scripts/reference', file), 'utf8'), date),
    ...commands.map((command): [string, string] => [
      `man/qusb-${command.words.replaceAll(' ', '-')}.1`,
      renderManPage(command, date),
    ]),
  ])
}

const files = await generate()
const leftOver = readdirSync('man')
  .map((name) => join('man', name))
  .filter((file) => !files.has(file))
const stale = [...files].filter(
  ([file, content]) => !existsSync(file) || readFileSync(file, 'utf8') !== content,
)

if (check) {
  for (const [file] of stale) console.error(`${file} is not what the code says`)
  for (const file of leftOver) console.error(`${file} is of no command`)
  if (stale.length + leftOver.length > 0) {
    console.error('Run: npm run generate')
    process.exitCode = 1
  }
} else {
  for (const [file, content] of stale) writeFileSync(file, content)
  for (const file of leftOver) rmSync(file)
  for (const file of [...stale.map(([file]) => file), ...leftOver]) console.log(file)
}
