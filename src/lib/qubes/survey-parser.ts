import type { Device } from '../model/device.ts'
import { deviceSchema } from '../model/device-schema.ts'
import { SERIAL_LIMIT } from '../model/identity.ts'
import { DOM0, parseQubeName, type QubeName } from '../model/names.ts'
import { UNCOMPILED } from '../model/parsing.ts'
import { comparePorts, type Port, parsePort } from '../model/port.ts'
import { cleanText } from '../model/text.ts'
import { type DeviceFacts, readDevice } from './device-facts.ts'
import { readFrontend } from './imports.ts'
import { type Published, readPublished } from './published.ts'
import type { QubeSurvey } from './survey-facts.ts'
import { type DeviceRecord, readTranscript } from './transcript.ts'
import { type DeviceUse, readUse } from './usage.ts'

/** More than the table of any kernel has. */
const EXPORT_SLOTS_READ = 64

/** nonsense: no complete answer of the probe; other-qube: the answer names another qube than was asked. */
export type SurveyProblem = 'nonsense' | 'other-qube'

/**
 * Parses what a qube answered to the probe. Total: never throws, whatever the bytes; linear in their number.
 * @param output stdout of the call, already limited in size
 * @param marker the word that this call's probe was given
 * @param qube who was asked
 * @param asFrontend whether it was asked for what it has of others, too
 */
export function parseSurvey(
  output: Buffer,
  marker: string,
  qube: QubeName,
  asFrontend: boolean,
): { survey: QubeSurvey } | { problem: SurveyProblem } {
  const transcript = readTranscript(output, marker)
  if (transcript === undefined) return { problem: 'nonsense' }
  if (transcript.name !== '' && transcript.name !== qube) return { problem: 'other-qube' }
  const fact = (tag: string): string[] => transcript.facts.get(tag) ?? []

  const { published, rejected: badKeys } = readPublished(transcript.qubesDb)
  const { own, imported, rejected: badDevices } = readDevices(transcript.devices, published)
  const use = readUse(transcript, new Map(own.map((device) => [device.path, device.port])))
  const devices = own
    .map((device) => toDevice(qube, device, published.get(device.port), use))
    .filter((device) => device !== undefined)
    .sort((a, b) => comparePorts(a.port, b.port))

  const frontend = asFrontend ? readFrontend(transcript, imported) : undefined
  const services = new Set(fact('X'))
  const rejected = [badKeys, badDevices, use.rejected, own.length - devices.length].concat([
    frontend?.rejected ?? 0,
    transcript.rejected,
  ])
  return {
    survey: {
      qube,
      devices,
      rejected: rejected.reduce((sum, count) => sum + count, 0),
      truncated: transcript.truncated,
      asFrontend: frontend?.facts ?? null,
      exports: own.flatMap(({ port, usbipStatus }) =>
        usbipStatus === null ? [] : [{ port, status: usbipStatus }],
      ),
      exportSlots: readExportSlots(fact('K')),
      publishedSerials: own.flatMap((device) => publishedSerial(device, published.get(device.port))),
      proxy: {
        usbAttach: services.has('qubes.USBAttach'),
        usbDetach: services.has('qubes.USBDetach'),
        usbExport: services.has('qubes.USB'),
      },
      ctapProxy: services.has('ctap'),
    },
  }
}

/**
 * Valid devices, the qube's own apart from imports. A port, or a bus and device number, that comes twice is dropped
 * as a whole: nobody could tell which of the two is meant, and two devices must never become one.
 */
function readDevices(
  records: readonly DeviceRecord[],
  published: ReadonlyMap<Port, Published>,
): { own: DeviceFacts[]; imported: DeviceFacts[]; rejected: number } {
  const named = countBy(records, (record) => record.port)
  const read = records
    .filter((record) => named.get(record.port) === 1)
    .map((record) => {
      const facts = readDevice(record, [])
      if (facts === undefined || facts.interfaces.length > 0) return facts
      return readDevice(record, published.get(facts.port)?.interfaces ?? [])
    })
    .filter((facts) => facts !== undefined)
  const addressOf = (facts: DeviceFacts): string => `${facts.busnum}.${facts.devnum}`
  const addressed = countBy(read, addressOf)
  const valid = read.filter((facts) => addressed.get(addressOf(facts)) === 1)
  const isImport = (facts: DeviceFacts): boolean => facts.path.includes('/vhci_hcd')
  return {
    own: valid.filter((facts) => !isImport(facts)),
    imported: valid.filter(isImport),
    rejected: records.length - valid.length,
  }
}

function countBy<T>(all: readonly T[], keyOf: (one: T) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const one of all) counts.set(keyOf(one), (counts.get(keyOf(one)) ?? 0) + 1)
  return counts
}

function toDevice(
  qube: QubeName,
  facts: DeviceFacts,
  published: Published | undefined,
  use: DeviceUse,
): Device | undefined {
  return deviceSchema.safeParse(
    {
      backend: qube,
      port: facts.port,
      toldBy: 'backend',
      busnum: facts.busnum,
      devnum: facts.devnum,
      vendorId: facts.vendorId,
      productId: facts.productId,
      serial: facts.serial,
      serialUnsafe: facts.serialUnsafe,
      manufacturer: facts.manufacturer,
      product: facts.product,
      interfaces: facts.interfaces,
      speed: facts.speed,
      ...readHolder(qube, published?.connectedTo),
      driver: facts.driver,
      interfaceDrivers: facts.interfaceDrivers,
      hub: facts.hub,
      hidden: published?.offered !== true,
      controller: controllerOf(facts.path),
      inputForDom0: use.inputForDom0.has(facts.port),
      usage: use.usage.get(facts.port) ?? [],
    },
    UNCOMPILED,
  ).data
}

/** A holder that cannot be (dom0, the backend itself, no name) makes the state unknown, never free. */
function readHolder(
  qube: QubeName,
  connectedTo: string | undefined,
): { state: Device['state']; attachedTo: QubeName | null } {
  if (connectedTo === undefined) return { state: 'free', attachedTo: null }
  const holder = parseQubeName(connectedTo)
  if (holder === undefined || holder === DOM0 || holder === qube)
    return { state: 'unknown', attachedTo: null }
  return { state: 'attached', attachedTo: holder }
}

/** Ports that once were exported and have gone since are still in the table. */
function readExportSlots([line = '']: readonly string[]): Port[] {
  const ports = line.split(' ', EXPORT_SLOTS_READ).flatMap((word) => parsePort(word) ?? [])
  return [...new Set(ports)]
}

/** The last PCI function on the way to a device is its USB controller. */
function controllerOf(path: string): string | null {
  return (
    path.split('/').findLast((part) => /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(part)) ?? null
  )
}

/** udev's ID_SERIAL_SHORT, which a user may have copied from elsewhere, where it is clean and another serial. */
function publishedSerial(
  device: DeviceFacts,
  published: Published | undefined,
): { port: Port; serial: string }[] {
  const serial = published?.serial ?? null
  if (serial === null || serial === device.serial || cleanText(serial, SERIAL_LIMIT).changed) return []
  return [{ port: device.port, serial }]
}
