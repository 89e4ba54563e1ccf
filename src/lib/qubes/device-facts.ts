import { isHex4, isInterfaceCode, SERIAL_LIMIT } from '../model/identity.ts'
import { type Port, parsePort } from '../model/port.ts'
import { cleanText } from '../model/text.ts'
import type { Attributes, DeviceRecord } from './transcript.ts'
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
  const attribute = (name: string): string | undefined => oneLine(record.attributes, name)
  const interfaces = readInterfaces(record.interfaces)
  const busnum = readNumber(attribute('busnum'), 3)
  const devnum = readNumber(attribute('devnum'), 3)
  const vendorId = attribute('idVendor')
  const productId = attribute('idProduct')
  if (
    interfaces === undefined ||
    busnum === null ||
    devnum === null ||
    !isHex4(vendorId) ||
    !isHex4(productId)
  ) {
    return undefined
  }
  // sysfs names a device by its bus: other numbers are another device's.
  if (!port.startsWith(`${busnum}-`) || devnum === 0) return undefined
  const codes =
    interfaces.codes.length > 0
      ? interfaces.codes
      : guessCodes(record, attribute('bConfigurationValue'), publishedInterfaces)
  return {
    port,
    path: record.path,
    busnum,
    devnum,
    vendorId,
    productId,
    ...readSerial(record.attributes.get('serial') ?? []),
    manufacturer: readText(record.attributes.get('manufacturer')),
    product: readText(record.attributes.get('product')),
    interfaces: codes,
    interfaceDrivers: interfaces.drivers,
    configured: interfaces.codes.length > 0,
    speed: readSpeed(attribute('speed')),
    driver: readWord(record.driver),
    usbipStatus: readNumber(attribute('usbip_status'), 1),
    hub: attribute('bDeviceClass') === HUB_CLASS || codes.some((code) => code.startsWith(HUB_CLASS)),
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

/** The text of a file of one line. */
function oneLine(attributes: Attributes, name: string): string | undefined {
  const lines = attributes.get(name)
  return lines?.length === 1 ? lines[0] : undefined
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
function readInterfaces(
  records: DeviceRecord['interfaces'],
): { codes: string[]; drivers: string[] } | undefined {
  const found: { at: number; code: string; driver: string | null }[] = []
  for (const { name, driver, attributes } of records) {
    const [configuration, number, ...more] = name.split('.', 3)
    const at = readNumber(number, 3)
    const code = ['bInterfaceClass', 'bInterfaceSubClass', 'bInterfaceProtocol']
      .map((attribute) => oneLine(attributes, attribute))
      .join('')
    const valid = readNumber(configuration, 3) !== null && more.length === 0 && isInterfaceCode(code)
    if (!valid || at === null) return undefined
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
  return published.slice(0, 64).filter(isInterfaceCode)
}

/** A serial that has to be cleaned is none: two devices could become one by it. */
function readSerial(lines: readonly string[]): { serial: string | null; serialUnsafe: boolean } {
  const [raw = ''] = lines
  if (raw === '' && lines.length < 2) return { serial: null, serialUnsafe: false }
  const unsafe = lines.length > 1 || cleanText(raw, SERIAL_LIMIT).changed
  return { serial: unsafe ? null : raw, serialUnsafe: unsafe }
}

function readText(lines: readonly string[] | undefined): string | null {
  const { text } = cleanText(lines?.[0] ?? '', 200)
  return text === '' ? null : text
}
