import type { SetupPacket } from './emulated.ts'

/** The setup packet of eight bytes; its words are little-endian, as everything on the bus. */
export function parseSetup(bytes: Buffer): SetupPacket {
  return {
    requestType: bytes.readUInt8(0),
    request: bytes.readUInt8(1),
    value: bytes.readUInt16LE(2),
    index: bytes.readUInt16LE(4),
    length: bytes.readUInt16LE(6),
  }
}

export function formatSetup(setup: SetupPacket): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt8(setup.requestType, 0)
  bytes.writeUInt8(setup.request, 1)
  bytes.writeUInt16LE(setup.value, 2)
  bytes.writeUInt16LE(setup.index, 4)
  bytes.writeUInt16LE(setup.length, 6)
  return bytes
}

/** bmRequestType: where a request goes to and whose it is (USB 2.0, table 9-2). */
export const REQUEST_TYPE = {
  in: 0x80,
  standardDevice: 0x00,
  standardInterface: 0x01,
  standardEndpoint: 0x02,
  classInterface: 0x21,
  vendorDevice: 0x40,
} as const

/** The standard requests (USB 2.0, table 9-4; USB 3.2, table 9-5). */
export const REQUEST = {
  getStatus: 0,
  clearFeature: 1,
  setFeature: 3,
  setAddress: 5,
  getDescriptor: 6,
  getConfiguration: 8,
  setConfiguration: 9,
  getInterface: 10,
  setInterface: 11,
  setSel: 0x30,
  setIsochDelay: 0x31,
} as const

/** Types of descriptors (USB 2.0, table 9-5; USB 3.2, table 9-6; HID 1.11, section 7.1). */
export const DESCRIPTOR = {
  device: 1,
  configuration: 2,
  string: 3,
  interface: 4,
  endpoint: 5,
  deviceQualifier: 6,
  otherSpeed: 7,
  interfaceAssociation: 11,
  bos: 15,
  capability: 16,
  hid: 0x21,
  report: 0x22,
  classInterface: 0x24,
  superSpeedCompanion: 0x30,
} as const
