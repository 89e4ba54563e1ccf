import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs'
import { dirname, isAbsolute, resolve } from 'node:path'
import * as z from 'zod'
import { QusbError } from '../errors.ts'

const path = z.string().refine((text) => isAbsolute(text) && !text.includes('\0'), 'must be an absolute path')

/**
 * Where this dom0 keeps things. The defaults are those of Qubes OS 4.3; each may be replaced by the file that
 * QUSB_SITE names, and nothing else may be in that file.
 */
export const siteSchema = z.strictObject({
  qrexecClient: path.default('/usr/bin/qrexec-client'),
  /** What a qube other than dom0 calls services with. */
  qrexecClientVm: path.default('/usr/bin/qrexec-client-vm'),
  /** What this qube is called, where that is not its host name. */
  qubeName: z.string().max(31).optional(),
  /** The `qrexec.NAME` sockets. */
  qubesRunDir: path.default('/var/run/qubes'),
  /** Receives grants. */
  policyDir: path.default('/run/qubes/policy.d'),
  /** All directories whose policy counts, the one that shadows first. */
  policyReadDirs: z.array(path).min(1).default(['/run/qubes/policy.d', '/etc/qubes/policy.d']),
  /** Where qubesd puts its own grants: one left behind is worth reporting. */
  oldPolicyDir: path.default('/etc/qubes-rpc/policy'),
  /** Says what policy would decide, without a call; looked for, not required. */
  policyExec: path.default('/usr/bin/qrexec-policy-exec'),
  stateDir: path.default('/var/lib/qusb'),
  configDir: path.default('/etc/qusb'),
  /** Locks and sockets: gone after a reboot. */
  runDir: path.default('/run/qusb'),
  qubesdSocket: path.default('/var/run/qubesd.sock'),
  usbIds: path.default('/usr/share/hwdata/usb.ids'),
  /** Where `qusb setup dom0` says that runDir is to be made at every boot (tmpfiles.d(5)). */
  tmpfilesDir: path.default('/etc/tmpfiles.d'),
  /** The qrexec services of dom0. */
  rpcDir: path.default('/etc/qubes-rpc'),
  /** Policy that stays over a reboot. */
  keptPolicyDir: path.default('/etc/qubes/policy.d'),
  unitDir: path.default('/etc/systemd/system'),
  /** What `qusb setup backend` has installed, and where: root's alone. */
  setupDir: path.default('/var/lib/qusb-setup'),
  flock: path.default('/usr/bin/flock'),
  /** What asks and tells on the desktop; looked for, not required. */
  zenity: path.default('/usr/bin/zenity'),
  kdialog: path.default('/usr/bin/kdialog'),
  notifySend: path.default('/usr/bin/notify-send'),
  sh: path.default('/bin/sh'),
  /** Changes with every boot of dom0. */
  bootIdFile: path.default('/proc/sys/kernel/random/boot_id'),
  uptimeFile: path.default('/proc/uptime'),
  limits: z
    .strictObject({
      /** The most a backend may answer to a survey, bytes. */
      surveyBytes: z
        .int()
        .min(4096)
        .max(16 * 1024 * 1024)
        .default(256 * 1024),
      /** How long a survey of one backend may take, ms. */
      surveyMs: z.int().min(100).max(60_000).default(5000),
      /** How long qrexec may take to connect, seconds. */
      connectSeconds: z.int().min(1).max(60).default(3),
    })
    .prefault({}),
})
export type Site = z.infer<typeof siteSchema>

/** A schema that is used once in a run is not worth compiling: that takes zod longer than the parse. */
export const ONCE = { jitless: true }

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
export function parseJsonFile<T>(schema: z.ZodType<T>, content: string, file: string): T {
  let value: unknown
  try {
    value = JSON.parse(content)
  } catch (error) {
    throw new QusbError('USAGE', `${file} is not JSON: ${(error as Error).message}`, { cause: error })
  }
  const parsed = schema.safeParse(value, ONCE)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`
  throw new QusbError('USAGE', `${file} is not valid${where}: ${issue?.message ?? 'unknown reason'}`)
}
