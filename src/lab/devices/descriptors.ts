import type { UsbSpeed } from './emulated.ts'
import { DESCRIPTOR } from './setup.ts'

/** An endpoint of an interface; `attributes` 2 is bulk, 3 interrupt, 5 isochronous asynchronous. */
interface EndpointDesign {
  /** With the direction bit: `0x81` is IN 1. */
  readonly address: number
  readonly attributes: number
  readonly maxPacketSize: number
  readonly interval: number
}

/** One alternate setting of an interface. */
export interface InterfaceDesign {
  readonly number: number
  readonly alternate?: number
  /** Class, subclass, protocol in one word of six hex digits: `080650`. */
  readonly triple: string
  readonly stringIndex?: number
  /** Class descriptors that stand before the endpoints. */
  readonly extra?: Buffer
  readonly endpoints: readonly EndpointDesign[]
  /** An interface association descriptor that stands before this one. */
  readonly association?: Buffer
}

/** The numbers of a device descriptor; strings are by index, 0 is none. */
export interface DeviceNumbers {
  readonly vendorId: number
  readonly productId: number
  readonly bcdDevice: number
  readonly triple: string
  readonly manufacturerIndex: number
  readonly productIndex: number
  readonly serialIndex: number
}

/** bcdUSB of what runs at this speed: SuperSpeed devices are USB 3.0, the others 2.0. */
function usbVersion(speed: UsbSpeed): number {
  return speed === 5000 ? 0x0300 : 0x0200
}

/** bMaxPacketSize0: at SuperSpeed an exponent (USB 3.2, section 9.6.1). */
function maxPacketSize0(speed: UsbSpeed): number {
  return speed === 5000 ? 9 : speed === 1.5 ? 8 : 64
}

export function deviceDescriptor(numbers: DeviceNumbers, speed: UsbSpeed): Buffer {
  const bytes = Buffer.alloc(18)
  bytes.writeUInt8(18, 0)
  bytes.writeUInt8(DESCRIPTOR.device, 1)
  bytes.writeUInt16LE(usbVersion(speed), 2)
  Buffer.from(numbers.triple, 'hex').copy(bytes, 4)
  bytes.writeUInt8(maxPacketSize0(speed), 7)
  bytes.writeUInt16LE(numbers.vendorId, 8)
  bytes.writeUInt16LE(numbers.productId, 10)
  bytes.writeUInt16LE(numbers.bcdDevice, 12)
  bytes.writeUInt8(numbers.manufacturerIndex, 14)
  bytes.writeUInt8(numbers.productIndex, 15)
  bytes.writeUInt8(numbers.serialIndex, 16)
  bytes.writeUInt8(1, 17)
  return bytes
}

/** What a high-speed device would be at full speed (USB 2.0, section 9.6.2). */
export function qualifierDescriptor(numbers: DeviceNumbers): Buffer {
  const bytes = Buffer.alloc(10)
  bytes.writeUInt8(10, 0)
  bytes.writeUInt8(DESCRIPTOR.deviceQualifier, 1)
  bytes.writeUInt16LE(0x0200, 2)
  Buffer.from(numbers.triple, 'hex').copy(bytes, 4)
  bytes.writeUInt8(64, 7)
  bytes.writeUInt8(1, 8)
  return bytes
}

/**
 * A configuration with all that belongs to it. `attributes` as in bmAttributes, `milliamps` the most it draws.
 * At SuperSpeed each endpoint has its companion, and the power counts in units of 8 mA.
 */
export function configurationDescriptor(
  interfaces: readonly InterfaceDesign[],
  speed: UsbSpeed,
  attributes: number,
  milliamps: number,
): Buffer {
  const parts = interfaces.flatMap((design) => [
    design.association ?? Buffer.alloc(0),
    interfaceDescriptor(design),
    design.extra ?? Buffer.alloc(0),
    ...design.endpoints.flatMap((endpoint) => endpointDescriptors(endpoint, speed)),
  ])
  const head = Buffer.alloc(9)
  head.writeUInt8(9, 0)
  head.writeUInt8(DESCRIPTOR.configuration, 1)
  head.writeUInt16LE(9 + parts.reduce((sum, part) => sum + part.length, 0), 2)
  head.writeUInt8(new Set(interfaces.map((design) => design.number)).size, 4)
  head.writeUInt8(1, 5)
  head.writeUInt8(attributes, 7)
  head.writeUInt8(Math.floor(milliamps / (speed === 5000 ? 8 : 2)), 8)
  return Buffer.concat([head, ...parts])
}

function interfaceDescriptor(design: InterfaceDesign): Buffer {
  const triple = Buffer.from(design.triple, 'hex')
  const { number, alternate = 0, endpoints, stringIndex = 0 } = design
  return Buffer.from([9, DESCRIPTOR.interface, number, alternate, endpoints.length, ...triple, stringIndex])
}

function endpointDescriptors(endpoint: EndpointDesign, speed: UsbSpeed): Buffer[] {
  const bytes = Buffer.alloc(7)
  bytes.writeUInt8(7, 0)
  bytes.writeUInt8(DESCRIPTOR.endpoint, 1)
  bytes.writeUInt8(endpoint.address, 2)
  bytes.writeUInt8(endpoint.attributes, 3)
  bytes.writeUInt16LE(endpoint.maxPacketSize, 4)
  bytes.writeUInt8(endpoint.interval, 6)
  if (speed !== 5000) return [bytes]
  const interrupt = (endpoint.attributes & 3) === 3
  const companion = Buffer.from([6, DESCRIPTOR.superSpeedCompanion, 0, 0, 0, 0])
  companion.writeUInt16LE(interrupt ? endpoint.maxPacketSize : 0, 4)
  return [bytes, companion]
}

/**
 * A string descriptor of UTF-16LE, as it is: broken surrogates go out too. Longer than 126 units it cannot be
 * (one byte counts its length).
 */
export function stringDescriptor(text: string): Buffer {
  const units = Buffer.from(text.slice(0, 126), 'utf16le')
  return Buffer.concat([Buffer.from([units.length + 2, DESCRIPTOR.string]), units])
}

/** The languages a device has strings in: English (United States) only. */
export function languageDescriptor(): Buffer {
  return Buffer.from([4, DESCRIPTOR.string, 0x09, 0x04])
}

/** The binary object store that SuperSpeed devices must have (USB 3.2, section 9.6.2): LPM and SuperSpeed. */
export function bosDescriptor(): Buffer {
  const lpm = Buffer.from([7, DESCRIPTOR.capability, 2, 0x02, 0, 0, 0])
  // Speeds full, high and super; fully working from full speed on; exit latencies 10 and 255 microseconds.
  const superSpeed = Buffer.from([10, DESCRIPTOR.capability, 3, 0, 0x0e, 0, 1, 10, 255, 0])
  const total = 5 + lpm.length + superSpeed.length
  return Buffer.concat([Buffer.from([5, DESCRIPTOR.bos, total, 0, 2]), lpm, superSpeed])
}
