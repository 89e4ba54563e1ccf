import { createHash } from 'node:crypto'
import { QusbError } from '../errors.ts'
import type { QubeName } from '../model/names.ts'
import type { Site } from '../site/site.ts'
import type { QrexecResult } from './qrexec.ts'
import { runScript } from './root-shell.ts'
import activateScript from './scripts/activate-notify.sh'
import inspectScript from './scripts/inspect-files.sh'
import removeScript from './scripts/remove-files.sh'
import loaderScript from './scripts/run-loader.sh'
import { makeMarker } from './survey.ts'

/** How long a few small files, and a reload of udev and systemd, may take, ms. */
const TIMEOUT_MS = 30_000

/** A file that is to be in a qube, root's. */
export type QubeFile =
  | { path: string; content: string; mode: '0644' | '0755' }
  /** A symbolic link. */
  | { path: string; target: string }

/** What is at a path: the SHA-256 of a plain file, a link, nothing, or something else. */
export type Found =
  | { kind: 'file'; sha256: string }
  | { kind: 'link'; target: string }
  | { kind: 'none' | 'other' }

/** What a qube has at the paths that were asked for. */
export interface Inspection {
  found: ReadonlyMap<string, Found>
  /** The qube persists what the user chose, and nothing of /rw/config runs at its start. */
  customPersist: boolean
}

export function sha256(content: string): string {
  return createHash('sha256').update(content).digest('hex')
}

/**
 * Looks what is at some paths of a qube.
 * @throws QusbError NOT_RUNNING, TIMEOUT
 */
export async function inspectFiles(
  site: Site,
  qube: QubeName,
  paths: readonly string[],
): Promise<Inspection> {
  const marker = makeMarker()
  const result = await runScript(site, qube, inspectScript, 'inspect_files', [marker, ...paths], TIMEOUT_MS)
  const lines = result.stdout
    .toString('utf8')
    .split('\n')
    .filter((line) => line.startsWith(`${marker} `))
    .map((line) => line.split(' ').slice(1))
  if (result.end !== 'exit' || !lines.some(([path]) => path === 'end'))
    throw failed(qube, 'look into', result)
  const found = new Map<string, Found>()
  for (const [path = '', what = ''] of lines) if (paths.includes(path)) found.set(path, readFound(what))
  return { found, customPersist: lines.some(([path]) => path === 'custom-persist') }
}

function readFound(what: string): Found {
  if (/^[0-9a-f]{64}$/.test(what)) return { kind: 'file', sha256: what }
  const target = /^link:([A-Za-z0-9_./@-]{1,200})$/.exec(what)?.[1]
  if (target !== undefined) return { kind: 'link', target }
  return { kind: what === 'none' ? 'none' : 'other' }
}

/** Whether what was found is what the file is to be. */
export function isThere(file: QubeFile, found: Found | undefined): boolean {
  if ('target' in file) return found?.kind === 'link' && found.target === file.target
  return found?.kind === 'file' && found.sha256 === sha256(file.content)
}

/** What no line of a file may be. */
const END = 'QUSB_END_OF_FILE'

/**
 * The script that puts files in place: each whole, under another name first. All of it is ours: contents, paths, and the
 * name of a qube inside, which was parsed.
 */
export function renderInstall(files: readonly QubeFile[]): string {
  const steps = files.map((file) => {
    if (!/^\/[A-Za-z0-9_./@-]+$/.test(file.path)) throw new Error(`not a path for a script: ${file.path}`)
    if ('target' in file) {
      if (!/^[A-Za-z0-9_./@-]+$/.test(file.target)) throw new Error(`not a link for a script: ${file.target}`)
      return `  put_link ${file.path} ${file.target}`
    }
    if (file.content.includes(END) || !file.content.endsWith('\n')) throw new Error('not a text for a script')
    return `  put_file ${file.path} ${file.mode} <<'${END}'\n${file.content}${END}`
  })
  return `put_file() {
  mkdir -p "$root\${1%/*}" || exit 1
  cat >"$root$1.qusb-new" && chmod "$2" "$root$1.qusb-new" && mv -f "$root$1.qusb-new" "$root$1" || exit 1
  ! command -v restorecon >/dev/null || restorecon -F "$root$1"
}
put_link() {
  mkdir -p "$root\${1%/*}" && ln -sfn "$2" "$root$1" || exit 1
}
install_files() {
  umask 022
  root=\${QUSB_ROOT:-}
${steps.join('\n')}
  echo "$1 installed"
}
`
}

/** Puts files into a qube. @throws QusbError */
export async function installFiles(site: Site, qube: QubeName, files: readonly QubeFile[]): Promise<void> {
  const marker = makeMarker()
  const result = await runScript(site, qube, renderInstall(files), 'install_files', [marker], TIMEOUT_MS)
  const isDone = result.stdout.toString('utf8').split('\n').includes(`${marker} installed`)
  if (result.end !== 'exit' || !isDone) throw failed(qube, 'install in', result)
}

/** Lets what is installed count at once. @throws QusbError */
export async function activate(site: Site, qube: QubeName, how: 'loader' | 'units'): Promise<void> {
  const result =
    how === 'loader'
      ? await runScript(site, qube, loaderScript, 'run_loader', [], TIMEOUT_MS)
      : await runScript(site, qube, activateScript, 'activate_notify', [], TIMEOUT_MS)
  if (result.end !== 'exit' || result.exitCode !== 0)
    throw failed(qube, 'start what was installed in', result)
}

/**
 * Removes files from a qube that are still what was installed.
 * @param files with their SHA-256, `link` for a link
 */
export async function removeFiles(
  site: Site,
  qube: QubeName,
  files: readonly { path: string; sha256: string }[],
): Promise<void> {
  const words = files.flatMap((file) => [file.path, file.sha256])
  const result = await runScript(site, qube, removeScript, 'remove_files', words, TIMEOUT_MS)
  if (result.end !== 'exit' || [125, 127].includes(result.exitCode ?? 125))
    throw failed(qube, 'remove from', result)
}

function failed(qube: QubeName, what: string, result: QrexecResult): QusbError {
  const detail = result.stderr === undefined ? {} : { detail: result.stderr }
  if (result.end === 'timeout') {
    return new QusbError('TIMEOUT', `cannot ${what} ${qube}: it did not answer in time`, {
      hint: 'Try again: what is in place is left as it is.',
      ...detail,
    })
  }
  if (result.end === 'not-started') {
    return new QusbError('NOT_FOUND', `cannot ${what} ${qube}: there is no qrexec-client`, {
      hint: 'qusb sets up USB qubes from dom0 of Qubes OS.',
      ...detail,
    })
  }
  if (result.exitCode === 125) {
    return new QusbError('NOT_RUNNING', `no connection to ${qube}`, {
      hint: `Start it: qvm-start ${qube}`,
      ...detail,
    })
  }
  return new QusbError('ATTACH_FAILED', `cannot ${what} ${qube}`, {
    hint: `Look at ${qube} itself: is its disk full?`,
    ...detail,
  })
}
