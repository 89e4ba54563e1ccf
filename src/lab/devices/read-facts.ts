import type { UsbSpeed } from './emulated.ts'
import type { DeviceFacts, InterfaceFacts } from './facts.ts'
import { DESCRIPTOR } from './setup.ts'

/** Bytes that are no USB descriptors. */
export class DescriptorError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'DescriptorError'
  }
}

/** What sysfs shows of a device, without its strings; `stringIndex` says where those are, 0 for none. */
export interface ReadDescriptors {
  readonly facts: Omit<DeviceFacts, 'manufacturer' | 'product' | 'serial' | 'speed'>
  readonly stringIndex: {
    readonly manufacturer: number
    readonly product: number
    readonly serial: number
  }
}

/**
 * Reads the bytes of a device descriptor with its first configuration behind it, as sysfs `descriptors` has
 * them. Throws DescriptorError for what is cut off or has a length that cannot be.
 */
export function readDescriptors(descriptors: Buffer): ReadDescriptors {
  const [device, configuration, ...rest] = splitDescriptors(descriptors)
  if (!device || device.length < 18 || device[1] !== DESCRIPTOR.device) {
    throw new DescriptorError('no device descriptor')
  }
  if (!configuration || configuration.length < 9 || configuration[1] !== DESCRIPTOR.configuration) {
    throw new DescriptorError('no configuration descriptor')
  }
  const version = device.readUInt16LE(2)
  const superSpeed = version >= 0x0300
  const vendorId = hex(device.readUInt16LE(8), 4)
  const productId = hex(device.readUInt16LE(10), 4)
  const packet = device.readUInt8(7)
  return {
    facts: {
      vendorId,
      productId,
      bcdDevice: hex(device.readUInt16LE(12), 4),
      version: `${(version >> 8).toString(16)}.${hex(version & 0xff, 2)}`.padStart(5),
      deviceClass: hex(device.readUInt8(4), 2),
      deviceSubclass: hex(device.readUInt8(5), 2),
      deviceProtocol: hex(device.readUInt8(6), 2),
      maxPacketSize0: superSpeed ? 2 ** Math.min(packet, 9) : packet,
      configurations: device.readUInt8(17),
      configurationValue: configuration.readUInt8(5),
      attributes: hex(configuration.readUInt8(7), 2),
      maxPower: `${configuration.readUInt8(8) * (superSpeed ? 8 : 2)}mA`,
      interfaces: readInterfaces(firstConfiguration(rest), vendorId, productId),
      descriptors,
    },
    stringIndex: {
      manufacturer: device.readUInt8(14),
      product: device.readUInt8(15),
      serial: device.readUInt8(16),
    },
  }
}

/** All facts: the descriptors, and the strings by their index (null where there is none). */
export function readFacts(
  descriptors: Buffer,
  speed: UsbSpeed,
  stringAt: (index: number) => string | null,
): DeviceFacts {
  const { facts, stringIndex } = readDescriptors(descriptors)
  const read = (index: number) => {
    const text = index === 0 ? null : stringAt(index)
    // The kernel makes no file of an empty string.
    return text === null ? null : asKernelString(text) || null
  }
  return {
    ...facts,
    speed,
    manufacturer: read(stringIndex.manufacturer),
    product: read(stringIndex.product),
    serial: read(stringIndex.serial),
  }
}

/** The kernel's way from UTF-16 to UTF-8 (utf16s_to_utf8s): it ends at a NUL and skips broken surrogates. */
function asKernelString(text: string): string {
  const end = text.indexOf('\0')
  const whole = end < 0 ? text : text.slice(0, end)
  return whole.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '')
}

function splitDescriptors(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt8(at)
    if (length < 2 || at + length > bytes.length) throw new DescriptorError(`a descriptor of ${length} bytes`)
    parts.push(bytes.subarray(at, at + length))
    at += length
  }
  return parts
}

function firstConfiguration(parts: readonly Buffer[]): readonly Buffer[] {
  const next = parts.findIndex((part) => part[1] === DESCRIPTOR.configuration)
  return next < 0 ? parts : parts.slice(0, next)
}

function readInterfaces(parts: readonly Buffer[], vendorId: string, productId: string): InterfaceFacts[] {
  const interfaces: InterfaceFacts[] = []
  for (const part of parts) {
    if (part[1] !== DESCRIPTOR.interface) continue
    if (part.length < 9) throw new DescriptorError('an interface descriptor that is too short')
    // sysfs shows the current setting, which after enumeration is the first.
    if (part.readUInt8(3) !== 0) continue
    const triple = part.subarray(5, 8).toString('hex')
    interfaces.push({
      number: part.readUInt8(2),
      alternate: 0,
      class: triple.slice(0, 2),
      subclass: triple.slice(2, 4),
      protocol: triple.slice(4),
      triple,
      endpoints: part.readUInt8(4),
      driver: nameDriver(vendorId, productId, triple),
    })
  }
  return interfaces
}

/**
 * Which Linux driver takes an interface: by device where one claims it, else by class. The Go!Temp goes to
 * usbhid on Debian's 6.1 even with ldusb loaded.
 */
function nameDriver(vendorId: string, productId: string, triple: string): string | null {
  if (vendorId === '0403' && productId === '6001') return 'ftdi_sio'
  if (triple === '080650') return 'usb-storage'
  if (triple === '080662') return 'uas'
  switch (triple.slice(0, 2)) {
    case '03':
      return 'usbhid'
    case '09':
      return 'hub'
    case '0e':
      return 'uvcvideo'
    default:
      return null
  }
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}
