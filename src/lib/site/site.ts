import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs'
import { dirname, isAbsolute, resolve } from 'node:path'
import * as z from 'zod/mini'
import { QusbError } from '../errors.ts'
import { ONCE, tellFirstIssue } from '../model/parsing.ts'

const path = z
  .string()
  .check(z.refine((text) => isAbsolute(text) && !text.includes('\0'), 'must be an absolute path'))

/**
 * Where this dom0 keeps things. The defaults are those of Qubes OS 4.3; each may be replaced by the file that
 * QUSB_SITE names, and nothing else may be in that file.
 */
export const siteSchema = z.strictObject({
  qrexecClient: z._default(path, '/usr/bin/qrexec-client'),
  /** What a qube other than dom0 calls services with. */
  qrexecClientVm: z._default(path, '/usr/bin/qrexec-client-vm'),
  /** What this qube is called, where that is not its host name. */
  qubeName: z.optional(z.string().check(z.maxLength(31))),
  /** The `qrexec.NAME` sockets. */
  qubesRunDir: z._default(path, '/var/run/qubes'),
  /** Receives grants. */
  policyDir: z._default(path, '/run/qubes/policy.d'),
  /** All directories whose policy counts, the one that shadows first. */
  policyReadDirs: z._default(z.array(path).check(z.minLength(1)), [
    '/run/qubes/policy.d',
    '/etc/qubes/policy.d',
  ]),
  /** Where qubesd puts its own grants: one left behind is worth reporting. */
  oldPolicyDir: z._default(path, '/etc/qubes-rpc/policy'),
  /** Says what policy would decide, without a call; looked for, not required. */
  policyExec: z._default(path, '/usr/bin/qrexec-policy-exec'),
  stateDir: z._default(path, '/var/lib/qusb'),
  configDir: z._default(path, '/etc/qusb'),
  /** Locks and sockets: gone after a reboot. */
  runDir: z._default(path, '/run/qusb'),
  qubesdSocket: z._default(path, '/var/run/qubesd.sock'),
  usbIds: z._default(path, '/usr/share/hwdata/usb.ids'),
  /** Where `qusb setup dom0` says that runDir is to be made at every boot (tmpfiles.d(5)). */
  tmpfilesDir: z._default(path, '/etc/tmpfiles.d'),
  /** The qrexec services of dom0. */
  rpcDir: z._default(path, '/etc/qubes-rpc'),
  /** Policy that stays over a reboot. */
  keptPolicyDir: z._default(path, '/etc/qubes/policy.d'),
  unitDir: z._default(path, '/etc/systemd/system'),
  /** What `qusb setup backend` has installed, and where: root's alone. */
  setupDir: z._default(path, '/var/lib/qusb-setup'),
  flock: z._default(path, '/usr/bin/flock'),
  /** What asks and tells on the desktop; looked for, not required. */
  zenity: z._default(path, '/usr/bin/zenity'),
  kdialog: z._default(path, '/usr/bin/kdialog'),
  notifySend: z._default(path, '/usr/bin/notify-send'),
  sh: z._default(path, '/bin/sh'),
  /** Changes with every boot of dom0. */
  bootIdFile: z._default(path, '/proc/sys/kernel/random/boot_id'),
  uptimeFile: z._default(path, '/proc/uptime'),
  limits: z.prefault(
    z.strictObject({
      /** The most a backend may answer to a survey, bytes. */
      surveyBytes: z._default(z.int().check(z.minimum(4096), z.maximum(16 * 1024 * 1024)), 256 * 1024),
      /** How long a survey of one backend may take, ms. */
      surveyMs: z._default(z.int().check(z.minimum(100), z.maximum(60_000)), 5000),
      /** How long qrexec may take to connect, seconds. */
      connectSeconds: z._default(z.int().check(z.minimum(1), z.maximum(60)), 3),
    }),
    {},
  ),
})
export type Site = z.infer<typeof siteSchema>

/** The most a site or configuration file may hold, bytes. */
const FILE_LIMIT = 64 * 1024

/**
 * The site of this machine.
 * @param siteFile the value of QUSB_SITE, if set
 * @throws QusbError USAGE when the file cannot be read, is not valid, or could have been written by others
 */
export function loadSite(siteFile: string | undefined): Site {
  if (siteFile === undefined || siteFile === '') return siteSchema.parse({}, ONCE)
  const file = resolve(siteFile)
  const isRoot = process.getuid?.() === 0
  if (isRoot) refuseWritableByOthers(file)
  const content = readSmallFile(file, 'QUSB_SITE')
  return parseJsonFile(siteSchema, content, file)
}

/** Root runs what the site names, so the file and every directory above it must be root's alone. */
function refuseWritableByOthers(file: string): void {
  for (let at = file; ; at = dirname(at)) {
    const stat = statSync(at, { throwIfNoEntry: false })
    if (stat === undefined) return
    const sticky = stat.isDirectory() && (stat.mode & constants.S_IFMT) !== 0 && (stat.mode & 0o1000) !== 0
    if (stat.uid !== 0 || (!sticky && (stat.mode & 0o022) !== 0)) {
      throw new QusbError('USAGE', `QUSB_SITE names ${file}, and ${at} can be written by others than root`, {
        hint: 'Unset QUSB_SITE, or make the file and the directories above it root-owned and not writable by others.',
      })
    }
    if (dirname(at) === at) return
  }
}

/**
 * Reads a file that must be small and regular.
 * @throws QusbError USAGE
 */
export function readSmallFile(file: string, what: string): string {
  let fd: number | undefined
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw new Error('not a regular file')
    if (stat.size > FILE_LIMIT) throw new Error(`larger than ${FILE_LIMIT} bytes`)
    return readFileSync(fd, 'utf8')
  } catch (error) {
    throw new QusbError('USAGE', `${what}: cannot read ${file}: ${(error as Error).message}`, {
      cause: error,
    })
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/**
 * Parses a JSON file by its schema.
 * @throws QusbError USAGE naming the file, the field and what is wrong
 */
export function parseJsonFile<T>(schema: z.ZodMiniType<T>, content: string, file: string): T {
  let value: unknown
  try {
    value = JSON.parse(content)
  } catch (error) {
    throw new QusbError('USAGE', `${file} is not JSON: ${(error as Error).message}`, { cause: error })
  }
  const parsed = schema.safeParse(value, ONCE)
  if (parsed.success) return parsed.data
  throw new QusbError('USAGE', `${file} is not valid${tellFirstIssue(parsed.error)}`)
}
