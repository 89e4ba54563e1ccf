import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs'
import { dirname, isAbsolute, resolve } from 'node:path'
import * as z from 'zod/mini'
import { QusbError } from '../errors.ts'
import { ONCE, tellFirstIssue } from '../model/parsing.ts'

/** Where Qubes OS 4.3 keeps things in dom0. */
export const QUBES_OS = {
  qrexecClient: '/usr/bin/qrexec-client',
  /** What a qube other than dom0 calls services with. */
  qrexecClientVm: '/usr/bin/qrexec-client-vm',
  /** The `qrexec.NAME` sockets. */
  qubesRunDir: '/var/run/qubes',
  /** Receives grants. */
  policyDir: '/run/qubes/policy.d',
  /** All directories whose policy counts, the one that shadows first. */
  policyReadDirs: ['/run/qubes/policy.d', '/etc/qubes/policy.d'],
  /** Where qubesd puts its own grants: one left behind is worth reporting. */
  oldPolicyDir: '/etc/qubes-rpc/policy',
  /** Says what policy would decide, without a call; looked for, not required. */
  policyExec: '/usr/bin/qrexec-policy-exec',
  stateDir: '/var/lib/qusb',
  configDir: '/etc/qusb',
  /** Locks and sockets: gone after a reboot. */
  runDir: '/run/qusb',
  qubesdSocket: '/var/run/qubesd.sock',
  usbIds: '/usr/share/hwdata/usb.ids',
  /** Where `qusb setup dom0` says that runDir is to be made at every boot (tmpfiles.d(5)). */
  tmpfilesDir: '/etc/tmpfiles.d',
  /** The qrexec services of dom0. */
  rpcDir: '/etc/qubes-rpc',
  /** Policy that stays over a reboot. */
  keptPolicyDir: '/etc/qubes/policy.d',
  unitDir: '/etc/systemd/system',
  /** What `qusb setup backend` has installed, and where: root's alone. */
  setupDir: '/var/lib/qusb-setup',
  flock: '/usr/bin/flock',
  /** What asks and tells on the desktop; looked for, not required. */
  zenity: '/usr/bin/zenity',
  kdialog: '/usr/bin/kdialog',
  notifySend: '/usr/bin/notify-send',
  sh: '/bin/sh',
  /** Changes with every boot of dom0. */
  bootIdFile: '/proc/sys/kernel/random/boot_id',
  uptimeFile: '/proc/uptime',
  limits: {
    /** The most a backend may answer to a survey, bytes. */
    surveyBytes: 256 * 1024,
    /** How long a survey of one backend may take, ms. */
    surveyMs: 5000,
    /** How long qrexec may take to connect, seconds. */
    connectSeconds: 3,
  },
}

/** Where this dom0 keeps things, and how long it waits. */
export type Site = typeof QUBES_OS & {
  /** What this qube is called, where that is not its host name. */
  qubeName?: string | undefined
}

/**
 * What the file that QUSB_SITE names may say instead, and nothing else may be in it. Made when there is a file to check.
 */
export function siteFileSchema() {
  const path = z
    .string()
    .check(z.refine((text) => isAbsolute(text) && !text.includes('\0'), 'must be an absolute path'))
  const maybePath = z.optional(path)
  const paths = Object.fromEntries(Object.keys(QUBES_OS).map((name) => [name, maybePath]))
  return z.strictObject({
    ...(paths as Record<keyof typeof QUBES_OS, typeof maybePath>),
    policyReadDirs: z.optional(z.array(path).check(z.minLength(1))),
    qubeName: z.optional(z.string().check(z.maxLength(31))),
    limits: z.optional(
      z.strictObject({
        surveyBytes: z.optional(z.int().check(z.minimum(4096), z.maximum(16 * 1024 * 1024))),
        surveyMs: z.optional(z.int().check(z.minimum(100), z.maximum(60_000))),
        connectSeconds: z.optional(z.int().check(z.minimum(1), z.maximum(60))),
      }),
    ),
  })
}

/** The most a site or configuration file may hold, bytes. */
const FILE_LIMIT = 64 * 1024

/**
 * The site of this machine.
 * @param siteFile the value of QUSB_SITE, if set
 * @throws QusbError USAGE when the file cannot be read, is not valid, or could have been written by others
 */
export function loadSite(siteFile: string | undefined): Site {
  if (siteFile === undefined || siteFile === '') return QUBES_OS
  const file = resolve(siteFile)
  const isRoot = process.getuid?.() === 0
  if (isRoot) refuseWritableByOthers(file)
  const content = readSmallFile(file, 'QUSB_SITE')
  return siteFrom(parseJsonFile(siteFileSchema(), content, file))
}

/** A site that is as Qubes OS's, but for what is said. */
export function siteFrom(said: z.infer<ReturnType<typeof siteFileSchema>>): Site {
  return { ...QUBES_OS, ...said, limits: { ...QUBES_OS.limits, ...said.limits } } as Site
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

const FILES_HINT = 'Mend it, or move it away: man qusb.json tells what it may say.'

/**
 * Parses a JSON file by its schema.
 * @throws QusbError USAGE naming the file, the field and what is wrong
 */
export function parseJsonFile<T>(schema: z.ZodMiniType<T>, content: string, file: string): T {
  let value: unknown
  try {
    value = JSON.parse(content)
  } catch (error) {
    throw new QusbError('USAGE', `${file} is not JSON: ${(error as Error).message}`, {
      hint: FILES_HINT,
      cause: error,
    })
  }
  const parsed = schema.safeParse(value, ONCE)
  if (parsed.success) return parsed.data
  throw new QusbError('USAGE', `${file} is not valid${tellFirstIssue(parsed.error)}`, { hint: FILES_HINT })
}
