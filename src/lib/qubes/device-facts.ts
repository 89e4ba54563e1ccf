import { hex4Schema, interfaceCodeSchema, SERIAL_LIMIT } from '../model/identity.ts'
import { type Port, parsePort } from '../model/port.ts'
import { cleanText } from '../model/text.ts'
import type { DeviceRecord } from './transcript.ts'
import { readInterfaceCodes } from './usb-descriptors.ts'

/** What sysfs says of a device, its own or an import: each value valid, each text clean. */
export interface DeviceFacts {
  port: Port
  path: string
  busnum: number
  devnum: number
  vendorId: string
  productId: string
  serial: string | null
  serialUnsafe: boolean
  manufacturer: string | null
  product: string | null
  interfaces: string[]
  interfaceDrivers: string[]
  /** sysfs has a directory for its interfaces: the kernel has configured it. */
  configured: boolean
  /** Mb/s */
  speed: number | null
  driver: string | null
  /** `usbip_status`; null when it is not on usbip-host. */
  usbipStatus: number | null
  hub: boolean
}

const HUB_CLASS = '09'
const PATH_LIMIT = 1024

/**
 * Makes facts of a record.
 * @param publishedInterfaces codes from QubesDB, used where sysfs shows none
 * @returns undefined for a record that cannot be true
 */
export function readDevice(
  record: DeviceRecord,
  publishedInterfaces: readonly string[],
): DeviceFacts | undefined {
  const port = parsePort(record.port)
  if (port === undefined || !isDevicePath(record.path, port)) return undefined
  const [
    busnum,
    devnum,
    vendorId,
    productId,
    deviceClass,
    speed,
    configuration,
    usbipStatus,
    driver,
    ...more
  ] = record.attributes
  if (driver === undefined || more.length > 0) return undefined
  const interfaces = readInterfaces(record.interfaces)
  const bus = readNumber(busnum, 3)
  const dev = readNumber(devnum, 3)
  if (interfaces === undefined || bus === null || dev === null || !isHex4(vendorId) || !isHex4(productId)) {
    return undefined
  }
  // sysfs names a device by its bus: other numbers are another device's.
  if (!port.startsWith(`${bus}-`) || dev === 0) return undefined
  const codes =
    interfaces.codes.length > 0 ? interfaces.codes : guessCodes(record, configuration, publishedInterfaces)
  return {
    port,
    path: record.path,
    busnum: bus,
    devnum: dev,
    vendorId,
    productId,
    ...readSerial(record),
    manufacturer: readText(record, 'm'),
    product: readText(record, 'p'),
    interfaces: codes,
    interfaceDrivers: interfaces.drivers,
    configured: interfaces.codes.length > 0,
    speed: readSpeed(speed),
    driver: readWord(driver),
    usbipStatus: readNumber(usbipStatus, 1),
    hub: deviceClass === HUB_CLASS || codes.some((code) => code.startsWith(HUB_CLASS)),
  }
}

function isDevicePath(path: string, port: Port): boolean {
  return (
    path.length <= PATH_LIMIT &&
    /^\/sys\/devices\/[A-Za-z0-9:._/-]+$/.test(path) &&
    !path.includes('/../') &&
    path.endsWith(`/${port}`)
  )
}

function isHex4(text: string | undefined): text is string {
  return hex4Schema.safeParse(text).success
}

function readNumber(text: string | undefined, digits: number): number | null {
  return text !== undefined && text.length <= digits && /^[0-9]+$/.test(text) ? Number(text) : null
}

/** `480`, `1.5`; wireless USB's range `53.3-480` is no speed. */
function readSpeed(text: string | undefined): number | null {
  const speed = text !== undefined && /^[0-9]{1,6}(\.[0-9]{1,2})?$/.test(text) ? Number(text) : 0
  return speed > 0 ? speed : null
}

function readWord(text: string | undefined): string | null {
  return text !== undefined && text !== '-' && /^[A-Za-z0-9._-]{1,64}$/.test(text) ? text : null
}

/** Interfaces in the order of their numbers: a shell's order has 1.10 before 1.2. */
function readInterfaces(lines: readonly string[][]): { codes: string[]; drivers: string[] } | undefined {
  const found: { at: number; code: string; driver: string | null }[] = []
  for (const [name = '', cls, subclass, protocol, driver, ...more] of lines) {
    const [configuration, number] = name.split('.', 2)
    const at = readNumber(number, 3)
    const code = `${cls}${subclass}${protocol}`
    const valid =
      readNumber(configuration, 3) !== null && at !== null && interfaceCodeSchema.safeParse(code).success
    if (!valid || driver === undefined || more.length > 0) return undefined
    found.push({ at, code, driver: readWord(driver) })
  }
  if (found.length > 64 || new Set(found.map(({ at }) => at)).size !== found.length) return undefined
  found.sort((a, b) => a.at - b.at)
  return {
    codes: found.map(({ code }) => code),
    drivers: [...new Set(found.map(({ driver }) => driver).filter((driver) => driver !== null))],
  }
}

function guessCodes(
  record: DeviceRecord,
  configuration: string | undefined,
  published: readonly string[],
): string[] {
  const hex = record.descriptors.filter((line) => /^( [0-9a-f]{2}){1,16}$/.test(line))
  const codes =
    hex.length === record.descriptors.length ? readInterfaceCodes(hex, readNumber(configuration, 3)) : []
  if (codes.length > 0) return codes
  return published.slice(0, 64).filter((code) => interfaceCodeSchema.safeParse(code).success)
}

/** A serial that has to be cleaned is none: two devices could become one by it (DESIGN.md, "Cleaned text"). */
function readSerial(record: DeviceRecord): { serial: string | null; serialUnsafe: boolean } {
  const found = record.texts.filter(([tag]) => tag === 's' || tag === 's!')
  const [tag, raw] = found[0] ?? ['s', '']
  if (raw === '' && tag === 's' && found.length < 2) return { serial: null, serialUnsafe: false }
  const unsafe = tag !== 's' || found.length > 1 || cleanText(raw, SERIAL_LIMIT).changed
  return { serial: unsafe ? null : raw, serialUnsafe: unsafe }
}

function readText(record: DeviceRecord, tag: 'm' | 'p'): string | null {
  const raw = record.texts.find(([found]) => found === tag || found === `${tag}!`)?.[1] ?? ''
  const { text } = cleanText(raw, 200)
  return text === '' ? null : text
}
