import {
  chmodSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** Where the program is: Fedora's place for packages of Node, so that other programs find the library there. */
export const HOME = '/usr/lib/node_modules/qusb'

/** A thing of the package, as it shall be in dom0. */
export type Entry = { path: string; group?: string } & (
  | { kind: 'file'; mode: 0o644 | 0o755; content: string }
  | { kind: 'link'; target: string }
  | { kind: 'directory'; mode: number }
  /** Not in the package; made in dom0, and the package's to remove. */
  | { kind: 'made'; mode: number }
)

/** Where folders of share/ go in dom0; null: nowhere, the bundle has their text. packaging/README.md tells it, too. */
const PLACES: Readonly<Record<string, string | null>> = {
  completions: `${HOME}/share/completions`,
  'policy.d': '/etc/qubes/policy.d',
  'qubes-rpc': '/etc/qubes-rpc',
  'suspend-post.d': '/etc/qubes/suspend-post.d',
  systemd: '/usr/lib/systemd/system',
  'tmpfiles.d': '/usr/lib/tmpfiles.d',
  'usb-qube': null,
}

/** Completions stand where their shells look for them, too. */
const COMPLETIONS: Readonly<Record<string, string>> = {
  'qusb.bash': '/usr/share/bash-completion/completions/qusb',
  _qusb: '/usr/share/zsh/site-functions/_qusb',
  'qusb.fish': '/usr/share/fish/vendor_completions.d/qusb.fish',
}

/**
 * What is under share/, at its place in dom0.
 * @throws Error for a file whose place is not known: nothing is left out by oversight
 */
export function placeShare(share: string): Entry[] {
  return listFiles(share).flatMap((name): Entry[] => {
    const slash = name.indexOf('/')
    const place = slash < 0 ? undefined : PLACES[name.slice(0, slash)]
    const link = name.startsWith('completions/') ? COMPLETIONS[name.slice(slash + 1)] : undefined
    if (place === undefined || (name.startsWith('completions/') && link === undefined)) {
      throw new Error(`share/${name} has no place in dom0: see packaging/README.md`)
    }
    if (place === null) return []
    const path = `${place}${name.slice(slash)}`
    const content = readFileSync(join(share, name), 'utf8')
    // Scripts say so themselves; the mode of a checkout depends on who made it.
    const mode = content.startsWith('#!') ? 0o755 : 0o644
    return [
      { kind: 'file', path, mode, content },
      ...(link === undefined
        ? []
        : [{ kind: 'link' as const, path: link, target: relative(dirname(link), path) }]),
    ]
  })
}

/** The files below a directory, sorted, by their paths in it. */
export function listFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort()
}

/**
 * Writes the payload.
 * @param stage an empty directory that stands for the root of dom0
 * @param epoch what everything is dated with, seconds
 */
export function stagePayload(stage: string, entries: readonly Entry[], epoch: number): void {
  for (const entry of entries) {
    const at = join(stage, entry.path)
    mkdirSync(entry.kind === 'directory' ? at : dirname(at), { recursive: true })
    if (entry.kind === 'link') symlinkSync(entry.target, at)
    if (entry.kind === 'file' || entry.kind === 'made') {
      writeFileSync(at, entry.kind === 'file' ? entry.content : '', { flag: 'wx' })
      chmodSync(at, entry.mode)
    }
  }
  const all = readdirSync(stage, { recursive: true, encoding: 'utf8' })
  // A file that is written dates its directory.
  for (const name of all.sort().reverse()) lutimesSync(join(stage, name), epoch, epoch)
}

/** The list of files for the spec: what belongs to the package, to whom, and with which mode. */
export function writeFileList(entries: readonly Entry[]): string {
  return entries
    .map((entry) => {
      const mode = entry.kind === 'link' ? '-' : entry.mode.toString(8).padStart(4, '0')
      return [
        ...(entry.kind === 'directory' ? ['%dir'] : []),
        ...(entry.kind === 'made' ? ['%ghost'] : []),
        // What an administrator changed stays.
        ...(entry.kind === 'file' && entry.path.startsWith('/etc/') ? ['%config(noreplace)'] : []),
        ...(entry.path.startsWith('/usr/share/licenses/') && entry.kind === 'file' ? ['%license'] : []),
        `%attr(${mode},root,${entry.group ?? 'root'})`,
        entry.path,
      ].join(' ')
    })
    .map((line) => `${line}\n`)
    .join('')
}
