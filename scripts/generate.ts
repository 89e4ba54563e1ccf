// Writes what is made from the code: oclif.manifest.json, the command reference of the README, the man pages.
// With --check it writes nothing, and fails where a file differs from what it would write.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeCommands, makeManifest } from './reference/commands.ts'
import { renderManPage, renderOverview } from './reference/man.ts'
import { fillReadme } from './reference/markdown.ts'

const root = process.cwd()
const check = process.argv.includes('--check')

/** The date of the man pages is that of the newest version in the changelog: the same on every machine. */
function changelogDate(): string {
  const [, year, month, day] =
    /^## .*(\d{4})-(\d\d)-(\d\d)$/m.exec(readFileSync('CHANGELOG.md', 'utf8')) ?? []
  const months =
    'January February March April May June July August September October November December'.split(' ')
  const name = months[Number(month) - 1]
  if (name === undefined) throw new Error('CHANGELOG.md has no "## VERSION - YYYY-MM-DD"')
  return `${name} ${Number(day)}, ${year}`
}

async function generate(): Promise<Map<string, string>> {
  const manifest = await makeManifest(root)
  const commands = describeCommands(manifest)
  const date = changelogDate()
  return new Map([
    ['oclif.manifest.json', `${JSON.stringify(manifest, null, 2)}\n`],
    ['README.md', fillReadme(readFileSync('README.md', 'utf8'), commands)],
    ['man/qusb.1', renderOverview(readFileSync('scripts/reference/overview.mdoc', 'utf8'), commands, date)],
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
