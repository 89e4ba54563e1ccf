import type { EmulatedDevice } from '../devices/emulated.ts'
import { DESCRIPTOR } from '../devices/setup.ts'

/**
 * Packets of the USB network redirection protocol (version 0.7, as QEMU's usb-redir speaks it): a header of
 * type, length and id, a header of the type's own, data. All numbers are little-endian. Ids have 64 bits, which
 * QEMU demands for its xHCI controller, but 32 in the two hellos.
 */
export const PACKET = {
  hello: 0,
  deviceConnect: 1,
  reset: 3,
  interfaceInfo: 4,
  endpointInfo: 5,
  setConfiguration: 6,
  getConfiguration: 7,
  configurationStatus: 8,
  setAlternate: 9,
  getAlternate: 10,
  alternateStatus: 11,
  startInterrupts: 15,
  stopInterrupts: 16,
  interruptStatus: 17,
  cancel: 21,
  control: 100,
  bulk: 101,
  interrupt: 103,
} as const

export const STATUS = { success: 0, cancelled: 1, invalid: 2, ioError: 3, stall: 4 } as const

/** A packet as it comes; `body` is all that follows the common header. */
export interface Packet {
  readonly type: number
  readonly id: bigint
  readonly body: Buffer
}

const HELLO_HEADER_BYTES = 12
const HEADER_BYTES = 16
/** More than this in one packet is no packet of QEMU's. */
const LONGEST = 1 << 24
/** Bits in our hello: the device's version, packet sizes of endpoints, long ids, long bulk transfers. */
const CAPABILITIES = (1 << 1) | (1 << 4) | (1 << 5) | (1 << 6)

export function packPacket(type: number, id: bigint, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const header = Buffer.alloc(type === PACKET.hello ? HELLO_HEADER_BYTES : HEADER_BYTES)
  header.writeUInt32LE(type, 0)
  header.writeUInt32LE(body.length, 4)
  if (type === PACKET.hello) header.writeUInt32LE(Number(id), 8)
  else header.writeBigUInt64LE(id, 8)
  return Buffer.concat([header, body])
}

/** Cuts a stream into packets; the function takes chunks as they come. Throws on what cannot be one. */
export function packetReader(): (chunk: Buffer) => Packet[] {
  let held: Buffer = Buffer.alloc(0)
  return (chunk) => {
    held = Buffer.concat([held, chunk])
    const packets: Packet[] = []
    while (held.length >= HELLO_HEADER_BYTES) {
      const type = held.readUInt32LE(0)
      const length = held.readUInt32LE(4)
      const start = type === PACKET.hello ? HELLO_HEADER_BYTES : HEADER_BYTES
      if (length > LONGEST) throw new Error(`a redirection packet of ${length} bytes`)
      if (held.length < start + length) break
      const id = type === PACKET.hello ? 0n : held.readBigUInt64LE(8)
      packets.push({ type, id, body: held.subarray(start, start + length) })
      held = held.subarray(start + length)
    }
    return packets
  }
}

export function hello(): Buffer {
  const body = Buffer.alloc(68)
  body.write('qusb lab', 0, 'latin1')
  body.writeUInt32LE(CAPABILITIES, 64)
  return packPacket(PACKET.hello, 0n, body)
}

/** low, full, high and SuperSpeed in the protocol's numbers. */
const SPEED = new Map([
  [1.5, 0],
  [12, 1],
  [480, 2],
  [5000, 3],
])

export function deviceConnect(device: EmulatedDevice): Buffer {
  const { descriptors } = device
  const body = Buffer.alloc(10)
  body.writeUInt8(SPEED.get(device.speed) ?? 1, 0)
  // Class, subclass and protocol; vendor, product and version: as they stand in the device descriptor.
  descriptors.copy(body, 1, 4, 7)
  descriptors.copy(body, 4, 8, 14)
  return packPacket(PACKET.deviceConnect, 0n, body)
}

/**
 * What QEMU must know of the interfaces and endpoints that are in use now: two packets, interfaces first.
 * @param alternates interface number to alternate setting; 0 where there is none
 */
export function interfacesAndEndpoints(
  device: EmulatedDevice,
  alternates: ReadonlyMap<number, number>,
): Buffer {
  const slots = 32
  const interfaces = Buffer.alloc(4 + 4 * slots)
  const endpoints = Buffer.alloc(3 * slots + 2 * slots)
  const unused = 255
  endpoints.fill(unused, 0, slots)
  const setEndpoint = (address: number, type: number, interval: number, number: number, size: number) => {
    const slot = ((address & 0x80) >> 3) | (address & 0x0f)
    endpoints.writeUInt8(type, slot)
    endpoints.writeUInt8(interval, slots + slot)
    endpoints.writeUInt8(number, 2 * slots + slot)
    endpoints.writeUInt16LE(size, 3 * slots + 2 * slot)
  }
  setEndpoint(0, 0, 0, 0, 64)
  setEndpoint(0x80, 0, 0, 0, 64)
  let count = 0
  let number = 0
  let isInUse = false
  const { descriptors } = device
  for (let at = descriptors.readUInt8(0); at + 2 <= descriptors.length; at += descriptors.readUInt8(at)) {
    const type = descriptors.readUInt8(at + 1)
    if (descriptors.readUInt8(at) < 2) break
    if (type === DESCRIPTOR.interface) {
      number = descriptors.readUInt8(at + 2)
      isInUse = descriptors.readUInt8(at + 3) === (alternates.get(number) ?? 0)
      if (!isInUse || count >= slots) continue
      interfaces.writeUInt8(number, 4 + count)
      for (let i = 0; i < 3; i++)
        interfaces.writeUInt8(descriptors.readUInt8(at + 5 + i), 4 + (i + 1) * slots + count)
      count += 1
    } else if (type === DESCRIPTOR.endpoint && isInUse) {
      const address = descriptors.readUInt8(at + 2)
      const kind = descriptors.readUInt8(at + 3) & 3
      setEndpoint(address, kind, descriptors.readUInt8(at + 6), number, descriptors.readUInt16LE(at + 4))
    }
  }
  interfaces.writeUInt32LE(count, 0)
  return Buffer.concat([
    packPacket(PACKET.interfaceInfo, 0n, interfaces),
    packPacket(PACKET.endpointInfo, 0n, endpoints),
  ])
}
