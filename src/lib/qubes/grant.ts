import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { QusbError } from '../errors.ts'
import type { QubeName } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import { randomHex } from '../site/random.ts'
import type { Site } from '../site/site.ts'

/**
 * 34 sorts before `35-compat.policy`, which pulls in qubesd's own per-device files, and after a user's deny in
 * `30-user.policy` (docs/facts.md#order-of-files). Lower-case only: one capital in a name denies every call of the
 * system.
 */
const GRANT_NAME = /^34-qusb-[0-9a-f]{16}\.policy$/

/** A name for a grant, chosen before it is written so that the store can tell of it first. */
export function nameGrant(): string {
  return `34-qusb-${randomHex(8)}.policy`
}

export interface GrantRequest {
  /** From nameGrant. */
  name: string
  backend: QubeName
  port: Port
  /** Who will call: the frontend, or its stub domain. */
  caller: QubeName | `${QubeName}-dm`
  /** This long after it is written, seconds, the reaper removes the grant whatever becomes of us. */
  lifetime: number
}

/** The one line of policy that lets this caller use this port of this backend (docs/facts.md#lines-of-policy). */
export function formatGrant(request: Pick<GrantRequest, 'backend' | 'port' | 'caller'>): string {
  return `qubes.USB  +${request.port}  ${request.caller}  ${request.backend}  allow  user=root autostart=no\n`
}

/** A grant that can be written at once. */
export interface PreparedGrant {
  /**
   * Writes it. It is complete when it appears, takes the place of no file, and shadows none.
   * @throws QusbError REFUSED when the policy directory cannot be written
   */
  write(): void
  /** Removes it, written or not; may be called more than once. */
  revoke(): void
}

/**
 * Prepares a grant: who will remove it, should we die, runs before it is there.
 * @throws QusbError INTERNAL
 */
export async function prepareGrant(site: Site, request: GrantRequest): Promise<PreparedGrant> {
  const { name } = request
  if (!GRANT_NAME.test(name)) throw new Error(`not a grant's name: ${name}`)
  if (site.policyReadDirs.some((directory) => existsSync(join(directory, name)))) {
    throw new Error(`${name} is taken`)
  }
  const file = join(site.policyDir, name)
  const reaper = await startReaper(site, file, request.lifetime)
  const revoke = (): void => {
    removeFile(file)
    reaper.end()
  }
  const write = (): void => {
    reaper.begin()
    try {
      publish(site, name, formatGrant(request))
    } catch (error) {
      revoke()
      throw new QusbError('REFUSED', `cannot write policy in ${site.policyDir}`, {
        hint: 'qusb must be run by root or a member of group qubes.',
        detail: (error as Error).message,
        cause: error,
      })
    }
  }
  return { write, revoke }
}

/** Written under a name that policy ignores, then given its own by a link, which never replaces a file. */
function publish(site: Site, name: string, content: string): void {
  const draft = join(site.policyDir, `.${name}.draft`)
  const fd = openSync(
    draft,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o640,
  )
  try {
    writeSync(fd, content)
    fsyncSync(fd)
    linkSync(draft, join(site.policyDir, name))
  } finally {
    closeSync(fd)
    removeFile(draft)
  }
}

/**
 * Removes a grant that a dead qusb may have left, and its draft.
 * @param name from a record of the store; anything else than a grant's name is left alone
 */
export function removeLeftGrant(site: Site, name: string): void {
  if (!GRANT_NAME.test(name)) return
  removeFile(join(site.policyDir, name))
  removeFile(join(site.policyDir, `.${name}.draft`))
}

/**
 * The grants that are there now, ours and drafts of ours: alive during an attach, else left over.
 * @returns the name of each, by directory of policy
 */
export function listGrants(site: Site): { directory: string; name: string }[] {
  return [...new Set([site.policyDir, ...site.policyReadDirs])].flatMap((directory) =>
    namesIn(directory)
      .map((name) => name.replace(/^\.(.*)\.draft$/, '$1'))
      .filter((name) => GRANT_NAME.test(name))
      .map((name) => ({ directory, name })),
  )
}

/** qubesd's own grants, a file a port in the old directory, and how long each has been there, ms. */
export function listOldGrants(site: Site, now: Date): { file: string; ageMs: number }[] {
  return namesIn(site.oldPolicyDir)
    .filter((name) => name.startsWith('qubes.USB+'))
    .map((name) => join(site.oldPolicyDir, name))
    .flatMap((file) => {
      const stat = statSync(file, { throwIfNoEntry: false })
      return stat === undefined ? [] : [{ file, ageMs: now.getTime() - stat.mtimeMs }]
    })
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function removeFile(file: string): void {
  try {
    unlinkSync(file)
  } catch (error) {
    // A file system that is mounted read-only refuses before it looks whether the file is there.
    if (lstatSync(file, { throwIfNoEntry: false }) === undefined) return
    throw new QusbError('REFUSED', `cannot take away the grant ${file}: it goes on allowing this attach`, {
      hint: `Remove it by hand: rm ${file}`,
      detail: (error as Error).message,
      cause: error,
    })
  }
}

/**
 * Starts a process of its own session that removes the grant when we die (its input ends) or when the time is over, which
 * begins with a line, whatever state we are in. Running before the grant is written, it misses none.
 */
async function startReaper(
  site: Site,
  file: string,
  seconds: number,
): Promise<{ begin(): void; end(): void }> {
  const script = 'read -r _; timeout "$1" cat >/dev/null 2>&1; rm -f -- "$2" "$3"'
  const draft = file.replace(/([^/]*)$/, '.$1.draft')
  // Loaded here because a list grants nothing.
  const { execa } = await import('execa')
  const child = execa(site.sh, ['-c', script, 'qusb-reaper', String(Math.ceil(seconds)), file, draft], {
    stdin: 'pipe',
    stdout: 'ignore',
    stderr: 'ignore',
    detached: true,
    // Neither read nor awaited: execa need not watch over it.
    buffer: false,
    cleanup: false,
    reject: false,
    extendEnv: false,
    env: { PATH: '/usr/bin:/bin' },
  })
  child.on('error', () => {})
  child.stdin.on('error', () => {})
  // The reaper must not keep us running.
  child.unref()
  if ('unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref()
  if (child.pid === undefined) throw new QusbError('INTERNAL', `cannot run ${site.sh}`)
  return { begin: () => child.stdin.write('\n'), end: () => child.stdin.end() }
}
