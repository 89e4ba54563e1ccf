import { parseQubeName, type QubeName } from '../model/names.ts'
import { UNCOMPILED } from '../model/parsing.ts'
import { comparePorts, type Port, parentPort, parsePort } from '../model/port.ts'
import type { DeviceFacts } from './device-facts.ts'
import {
  type FrontendFacts,
  type ImportedDevice,
  type PendingImport,
  pidSchema,
  type StateFile,
  type VhciRow,
  vhciPortSchema,
} from './survey-facts.ts'
import type { Transcript } from './transcript.ts'

/** VDEV_ST_USED (include/uapi/linux/usbip.h). */
const USED = 6

/** What a process of a shell script may be called. */
const INTERPRETERS = new Set(['sh', 'bash', 'dash', 'ash', 'busybox'])

/** `hub port sta spd dev sockfd local_busid` (drivers/usb/usbip/vhci_sysfs.c, port_show_vhci): what of a row is of use. */
const ROW = /^([hs]s) +([0-9]{1,6}) +([0-9]{1,3}) +[^ ]+ +([0-9a-f]{8}) +[^ ]+ +([0-9.-]+)$/

/**
 * What a qube has of others' devices, and what keeps them there.
 * @param imported what sits below its virtual host controllers
 */
export function readFrontend(
  transcript: Pick<Transcript, 'vhci' | 'facts'>,
  imported: readonly DeviceFacts[],
): { facts: FrontendFacts; rejected: number } {
  const fact = (tag: string): string[] => transcript.facts.get(tag) ?? []
  const vhci = transcript.vhci === undefined ? undefined : readVhci(transcript.vhci)
  const { imports, rejected: badImports } = readImports(imported, vhci?.rows ?? [])
  const { stateFiles, rejected: badFiles } = readStateFiles(fact('S'))
  const { rejected: badProcesses, ...processes } = readImportProcesses(fact('P'), stateFiles, imports)
  return {
    facts: {
      imports: imports.sort((a, b) => comparePorts(a.local, b.local)),
      vhci: vhci?.rows ?? null,
      stateFiles,
      ...processes,
    },
    rejected: (vhci?.rejected ?? 0) + badImports + badFiles + badProcesses,
  }
}

/**
 * The rows of the virtual host controllers; a port that comes twice is dropped as a whole.
 * @param lines of their tables, each with its head or without
 */
function readVhci(lines: readonly string[]): { rows: VhciRow[]; rejected: number } {
  const byPort = new Map<string, VhciRow | null>()
  let rejected = 0
  for (const line of lines) {
    if (line.startsWith('hub ')) continue
    const row = readRow(line)
    if (row === undefined) rejected++
    else if (byPort.has(row.port)) {
      rejected += byPort.get(row.port) === null ? 1 : 2
      byPort.set(row.port, null)
    } else byPort.set(row.port, row)
  }
  return { rows: [...byPort.values()].filter((row) => row !== null), rejected }
}

function readRow(line: string): VhciRow | undefined {
  const [, hub, port = '', status, remote = '', localText = ''] = ROW.exec(line) ?? []
  if (hub !== 'hs' && hub !== 'ss') return undefined
  const local = localText === '0-0' ? null : parsePort(localText)
  const devid = Number.parseInt(remote, 16)
  const [remoteBusnum, remoteDevnum] = [devid >>> 16, devid & 0xffff]
  if (local === undefined || (remoteBusnum === 0) !== (remoteDevnum === 0)) return undefined
  return {
    port,
    hub,
    status: Number(status),
    remoteBusnum: devid === 0 ? null : remoteBusnum,
    remoteDevnum: devid === 0 ? null : remoteDevnum,
    local,
  }
}

/**
 * Joins what sits below a virtual host controller with its row there. One without a row, or whose row is claimed
 * twice, is dropped: a port that is not known is a port that must not be freed.
 */
function readImports(
  devices: readonly DeviceFacts[],
  rows: readonly VhciRow[],
): { imports: ImportedDevice[]; rejected: number } {
  const byLocal = new Map<Port, VhciRow | null>()
  for (const row of rows) {
    if (row.local !== null) byLocal.set(row.local, byLocal.has(row.local) ? null : row)
  }
  const imports: ImportedDevice[] = []
  let rejected = 0
  for (const device of devices) {
    const row = rowOf(device.port, byLocal)
    if (row === undefined) {
      rejected++
      continue
    }
    const enumerated = row.status === USED && device.configured
    imports.push({
      local: device.port,
      vhciPort: row.port,
      hub: row.hub,
      busnum: device.busnum,
      devnum: device.devnum,
      vendorId: device.vendorId,
      productId: device.productId,
      serial: device.serial,
      serialUnsafe: device.serialUnsafe,
      interfaces: device.interfaces,
      remoteBusnum: row.remoteBusnum,
      remoteDevnum: row.remoteDevnum,
      enumerated,
      settled: enumerated && device.interfaceDrivers.length > 0,
    })
  }
  return { imports, rejected }
}

/** A device behind an imported hub has the hub's row. */
function rowOf(port: Port, byLocal: ReadonlyMap<Port, VhciRow | null>): VhciRow | undefined {
  for (let at: Port | undefined = port; at !== undefined; at = parentPort(at)) {
    const row = byLocal.get(at)
    if (row !== undefined) return row ?? undefined
  }
  return undefined
}

/**
 * Splits the name of a state file. A port holds exactly one `-`, so it begins after the second last of the name,
 * whatever the backend is called.
 */
function readStateFileName(file: string): { backend: QubeName; port: Port } | undefined {
  const [, backendText = '', portText = ''] =
    /^usb-import-([^/]{1,64})-([^-/]{1,3}-[^-/]{1,27})\.state$/.exec(file) ?? []
  const backend = parseQubeName(backendText)
  const port = parsePort(portText)
  return backend === undefined || port === undefined ? undefined : { backend, port }
}

/** @param lines `VHCIPORT FILE` */
function readStateFiles(lines: readonly string[]): { stateFiles: StateFile[]; rejected: number } {
  const found = new Map<string, StateFile>()
  let rejected = 0
  for (const line of lines) {
    const [number, file = '', ...more] = line.split(' ', 3)
    const place = readStateFileName(file)
    const vhciPort = vhciPortSchema.safeParse(number, UNCOMPILED).data
    if (place === undefined || vhciPort === undefined || more.length > 0 || found.has(file)) rejected++
    else found.set(file, { ...place, vhciPort })
  }
  return { stateFiles: [...found.values()], rejected }
}

/**
 * The processes of imports, those of finished ones apart. Only two forms count, since these are what may be killed:
 * qrexec-client-vm that calls `qubes.USB+PORT` in a backend, and usb-import with the state file of that backend and
 * port (qubes.USBAttach of qubes-app-linux-usb-proxy), or with both as words, as its argument.
 * @param lines `PID WORD<tab>WORD…`
 */
function readImportProcesses(
  lines: readonly string[],
  stateFiles: readonly StateFile[],
  imports: readonly ImportedDevice[],
): {
  pendingImports: PendingImport[]
  keptImports: (PendingImport & { vhciPort: string })[]
  rejected: number
} {
  const found = new Map<string, PendingImport>()
  let rejected = 0
  for (const line of lines) {
    const blank = line.indexOf(' ')
    const target = readTarget(line.slice(blank + 1).split('\t', 32))
    if (target === 'other') continue
    const digits = line.slice(0, Math.max(0, blank))
    const pid = pidSchema.safeParse(/^[0-9]{1,7}$/.test(digits) ? Number(digits) : 0, UNCOMPILED).data
    if (target === undefined || pid === undefined) {
      rejected++
      continue
    }
    const key = `${target.backend}:${target.port}`
    const known = found.get(key)
    if (known === undefined) found.set(key, { ...target, pids: [pid] })
    else if (known.pids.length < 64) known.pids = [...new Set([...known.pids, pid])]
  }
  // A state file may leave out the zeroes that the controller's table has: 0000.
  const finished = new Set(
    imports.filter((device) => device.enumerated).map((device) => Number(device.vhciPort)),
  )
  const files = new Map(stateFiles.map((file) => [`${file.backend}:${file.port}`, file]))
  const claimed = countClaims(stateFiles)
  const pendingImports: PendingImport[] = []
  const keptImports: (PendingImport & { vhciPort: string })[] = []
  for (const [key, pending] of found) {
    const file = files.get(key)
    // A port that two state files name: one of them is stale, and nobody could say which.
    const kept =
      file !== undefined && claimed.get(Number(file.vhciPort)) === 1 && finished.has(Number(file.vhciPort))
    if (kept) keptImports.push({ ...pending, vhciPort: file.vhciPort })
    else pendingImports.push(pending)
  }
  return { pendingImports, keptImports, rejected }
}

function countClaims(stateFiles: readonly StateFile[]): Map<number, number> {
  const claims = new Map<number, number>()
  for (const { vhciPort } of stateFiles) {
    claims.set(Number(vhciPort), (claims.get(Number(vhciPort)) ?? 0) + 1)
  }
  return claims
}

/** Which import a command line is of; `other` for a program that only has the words in its arguments. */
function readTarget(words: readonly string[]): { backend: QubeName; port: Port } | 'other' | undefined {
  const programs = words.slice(0, 3).map((word) => word.slice(word.lastIndexOf('/') + 1))
  if (programs[0] === 'qrexec-client-vm') {
    const at = words.findIndex((word) => word.startsWith('qubes.USB+'))
    if (at < 0) return 'other'
    const backend = parseQubeName(words[at - 1] ?? '')
    const port = parsePort((words[at] ?? '').slice('qubes.USB+'.length))
    return backend === undefined || port === undefined ? undefined : { backend, port }
  }
  // A script's process has its interpreter first, and what the script's first line hands to it.
  const script = programs.indexOf('usb-import')
  const interpreted = script === 0 || INTERPRETERS.has(programs[0] ?? '')
  if (script < 0 || !interpreted) return 'other'
  const [file = '', portText = ''] = words.slice(script + 1)
  const backend = parseQubeName(file)
  const port = parsePort(portText)
  if (backend !== undefined && port !== undefined) return { backend, port }
  return readStateFileName(file.slice(file.lastIndexOf('/') + 1))
}
