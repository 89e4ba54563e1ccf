import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeCommands, type Manifest } from '../reference/commands.ts'
import { readChangelogDate } from '../reference/date.ts'
import { renderOverview } from '../reference/man.ts'
import type { Papers } from './papers.ts'
import { type Entry, HOME, listFiles, placeShare } from './payload.ts'

/** What was built for the package. */
export interface Built {
  /** The product's bundle, the library, and the directory of its types. */
  program: string
  library: string
  types: string
  /** The commands of the product, without the lab's. */
  manifest: Manifest
  papers: Papers
}

/** What differs from the sources: what stands there, and what takes its place. */
const LAUNCHER: [from: string, to: string][] = [
  // Under sudo, and in services, PATH may find another.
  ['#!/usr/bin/env node\n', '#!/usr/bin/node\n'],
  ["  if (process.argv[2] === 'lab') run('dist/lab.cjs', require('../dist/lab.cjs'))\n  else run", '  run'],
  ['picks the bundle (the lab has its own) and loads it', 'loads its bundle'],
]

/**
 * Everything that the package consists of.
 * @param root the directory of the sources
 */
export function collectEntries(root: string, built: Built): Entry[] {
  const read = (name: string): string => readFileSync(join(root, name), 'utf8')
  const file = (path: string, content: string, mode: 0o644 | 0o755 = 0o644): Entry => ({
    kind: 'file',
    path,
    mode,
    content,
  })
  const text = (path: string): string => readFileSync(path, 'utf8')
  const files: Entry[] = [
    file(`${HOME}/bin/qusb.cjs`, changeLauncher(read('bin/qusb.cjs')), 0o755),
    file(`${HOME}/dist/qusb.cjs`, text(built.program)),
    file(`${HOME}/dist/library.mjs`, text(built.library)),
    ...listFiles(built.types).map((name) =>
      file(`${HOME}/dist/types/${name}`, text(join(built.types, name))),
    ),
    file(`${HOME}/scripts/code-cache.cjs`, read('scripts/code-cache.cjs')),
    file(`${HOME}/package.json`, json(shrinkPackage(JSON.parse(read('package.json'))))),
    file(`${HOME}/oclif.manifest.json`, json(built.manifest)),
    file('/usr/share/licenses/qusb/LICENSE', read('LICENSE')),
    file('/usr/share/licenses/qusb/THIRD-PARTY', built.papers.licences),
    file('/usr/share/doc/qusb/qusb.cdx.json', built.papers.bill),
    file('/usr/share/doc/qusb/CHANGELOG.md', read('CHANGELOG.md')),
    ...manPages(root, built.manifest).map(([page, content]) =>
      file(`/usr/share/man/man${page.at(-1)}/${page}`, content),
    ),
    ...placeShare(join(root, 'share')),
  ]
  const entries: Entry[] = [
    ...files,
    { kind: 'link', path: '/usr/bin/qusb', target: `..${HOME.slice('/usr'.length)}/bin/qusb.cjs` },
    { kind: 'made', path: `${HOME}/dist/qusb.cjs.cache`, mode: 0o644 },
    { kind: 'made', path: `${HOME}/dist/qusb.cjs.actions.cache`, mode: 0o644 },
    ...directoriesOf(files).map((path): Entry => ({ kind: 'directory', path, mode: 0o755 })),
    // As `qusb setup dom0` makes them.
    { kind: 'directory', path: '/etc/qusb', mode: 0o2775, group: 'qubes' },
    { kind: 'directory', path: '/etc/qusb/rules.d', mode: 0o2775, group: 'qubes' },
    { kind: 'directory', path: '/var/lib/qusb', mode: 0o2770, group: 'qubes' },
    { kind: 'directory', path: '/run/qusb', mode: 0o2770, group: 'qubes' },
  ]
  return entries.sort((a, b) => (a.path < b.path ? -1 : 1))
}

function changeLauncher(source: string): string {
  return LAUNCHER.reduce((launcher, [from, to]) => {
    if (!launcher.includes(from)) throw new Error(`bin/qusb.cjs is no longer what scripts/package expects`)
    return launcher.replace(from, to)
  }, source)
}

/** What the program and who imports it need of package.json. */
function shrinkPackage(all: Record<string, unknown>): object {
  const { name, version, description, license, type, engines, exports, oclif } = all
  const { topics, ...rest } = oclif as { topics: Record<string, unknown> }
  const { lab: _, ...kept } = topics
  return { name, version, description, license, type, engines, exports, oclif: { ...rest, topics: kept } }
}

/** The product's pages: those of the lab are left out, also of the overview's list. */
function manPages(root: string, manifest: Manifest): [page: string, content: string][] {
  const commands = describeCommands(manifest)
  const known = new Set(commands.map(({ words }) => `qusb-${words.replaceAll(' ', '-')}.1`))
  const pages = readdirSync(join(root, 'man'))
    .filter((page) => known.has(page) || !page.endsWith('.1'))
    .map((page): [string, string] => [page, readFileSync(join(root, 'man', page), 'utf8')])
  const template = readFileSync(join(root, 'scripts/reference/overview.mdoc'), 'utf8')
  const overview = renderOverview(template, commands, readChangelogDate(root))
  return [['qusb.1', overview], ...pages]
}

/** The directories that are nobody else's. */
function directoriesOf(files: readonly Entry[]): string[] {
  const ours = [HOME, '/usr/share/licenses/qusb', '/usr/share/doc/qusb']
  const directories = files.flatMap(({ path }) => {
    const home = ours.find((directory) => path.startsWith(`${directory}/`))
    if (home === undefined) return []
    const parts = path.slice(home.length + 1).split('/')
    return parts.map((_, depth) => [home, ...parts.slice(0, depth)].join('/'))
  })
  return [...new Set(directories)]
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}
