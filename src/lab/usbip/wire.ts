/**
 * The packets of USB/IP as the kernel document Documentation/usb/usbip_protocol.rst lays them out:
 * big-endian, a header of 48 bytes, then a transfer buffer and isochronous packet descriptors.
 */
export const HEADER_BYTES = 48
const ISO_PACKET_BYTES = 16
/** As in Linux, USBIP_MAX_ISO_PACKETS. */
const MAX_ISO_PACKETS = 1024
/** One transfer of usb-storage at SuperSpeed; Linux asks for no more. */
export const MAX_TRANSFER = 1024 * 1024

const CMD_SUBMIT = 1
const CMD_UNLINK = 2
const RET_SUBMIT = 3
const RET_UNLINK = 4

/** An error that ends the connection: the peer does not speak USB/IP, or asks for more than the limit. */
export class ProtocolError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ProtocolError'
  }
}

type Direction = 'in' | 'out'

export interface IsoPacket {
  readonly offset: number
  readonly length: number
  readonly actualLength: number
  readonly status: number
}

/** CMD_SUBMIT: a transfer that the frontend wants done. */
export interface Submit {
  readonly type: 'submit'
  readonly seqnum: number
  readonly devid: number
  readonly direction: Direction
  /** The number without the direction bit, 0 to 15. */
  readonly endpoint: number
  /** The kernel's URB flags. */
  readonly flags: number
  /** Bytes of the transfer buffer: wanted (in), or sent along in `data` (out). */
  readonly length: number
  readonly startFrame: number
  readonly interval: number
  /** Eight bytes as on the bus; zeroes except on endpoint 0. */
  readonly setup: Buffer
  readonly data: Buffer
  /** Null unless the transfer is isochronous. */
  readonly isoPackets: readonly IsoPacket[] | null
}

/** CMD_UNLINK: the frontend takes a transfer back. */
export interface Unlink {
  readonly type: 'unlink'
  readonly seqnum: number
  readonly devid: number
  readonly direction: Direction
  readonly endpoint: number
  readonly unlinkSeqnum: number
}

/** RET_SUBMIT: how a transfer went. */
interface SubmitReply {
  readonly type: 'submit-reply'
  readonly seqnum: number
  /** 0, or a negative errno. */
  readonly status: number
  readonly actualLength: number
  readonly startFrame: number
  readonly errorCount: number
  /** `actualLength` bytes for IN, empty for OUT. */
  readonly data: Buffer
  readonly isoPackets: readonly IsoPacket[] | null
}

/** RET_UNLINK: -ECONNRESET when the transfer was taken back, 0 when it had been answered already. */
interface UnlinkReply {
  readonly type: 'unlink-reply'
  readonly seqnum: number
  readonly status: number
}

export type Command = Submit | Unlink
export type Reply = SubmitReply | UnlinkReply

/** What a header announces: how many bytes follow it, and how to make the packet of both. */
export interface Announced<Packet> {
  readonly bodyBytes: number
  finish(body: Buffer): Packet
}

/** Reads the header of a packet that goes to the backend. Throws ProtocolError. */
export function announceCommand(header: Buffer, maxTransfer = MAX_TRANSFER): Announced<Command> {
  const command = header.readUInt32BE(0)
  const seqnum = header.readUInt32BE(4)
  const devid = header.readUInt32BE(8)
  const direction = parseDirection(header.readUInt32BE(12))
  const endpoint = header.readUInt32BE(16)
  if (endpoint > 15) throw new ProtocolError(`endpoint ${endpoint}`)
  if (command === CMD_UNLINK) {
    const unlinkSeqnum = header.readUInt32BE(20)
    const unlink: Unlink = { type: 'unlink', seqnum, devid, direction, endpoint, unlinkSeqnum }
    return { bodyBytes: 0, finish: () => unlink }
  }
  if (command !== CMD_SUBMIT) throw new ProtocolError(`command ${command}`)
  const flags = header.readUInt32BE(20)
  const length = boundLength(header.readInt32BE(24), maxTransfer)
  const startFrame = header.readInt32BE(28)
  const packets = isoPacketCount(header.readInt32BE(32))
  const interval = header.readInt32BE(36)
  const setup = Buffer.from(header.subarray(40, 48))
  const dataBytes = direction === 'out' ? length : 0
  return {
    bodyBytes: dataBytes + packets * ISO_PACKET_BYTES,
    finish: (body) => ({
      type: 'submit',
      seqnum,
      devid,
      direction,
      endpoint,
      flags,
      length,
      startFrame,
      interval,
      setup,
      data: body.subarray(0, dataBytes),
      isoPackets: readIsoPackets(body.subarray(dataBytes), packets, length),
    }),
  }
}

/** What the frontend remembers of a transfer, without which its reply cannot be told from the next one. */
export interface Awaited {
  readonly direction: Direction
  readonly length: number
  readonly isoPackets: number
}

/** Reads the header of a packet that goes to the frontend. `awaited` finds the transfer. Throws ProtocolError. */
export function announceReply(
  header: Buffer,
  awaited: (seqnum: number) => Awaited | undefined,
): Announced<Reply> {
  const command = header.readUInt32BE(0)
  const seqnum = header.readUInt32BE(4)
  const status = header.readInt32BE(20)
  if (command === RET_UNLINK) {
    return { bodyBytes: 0, finish: () => ({ type: 'unlink-reply', seqnum, status }) }
  }
  if (command !== RET_SUBMIT) throw new ProtocolError(`command ${command}`)
  const transfer = awaited(seqnum)
  if (!transfer) throw new ProtocolError(`a reply to transfer ${seqnum}, which was not asked for`)
  const actualLength = boundLength(header.readInt32BE(24), transfer.length)
  const startFrame = header.readInt32BE(28)
  const packets = isoPacketCount(header.readInt32BE(32))
  if (packets !== transfer.isoPackets) throw new ProtocolError(`${packets} isochronous packets`)
  const errorCount = header.readInt32BE(36)
  const dataBytes = transfer.direction === 'in' ? actualLength : 0
  return {
    bodyBytes: dataBytes + packets * ISO_PACKET_BYTES,
    finish: (body) => ({
      type: 'submit-reply',
      seqnum,
      status,
      actualLength,
      startFrame,
      errorCount,
      data: body.subarray(0, dataBytes),
      isoPackets: readIsoPackets(body.subarray(dataBytes), packets, transfer.length),
    }),
  }
}

/** A packet as bytes; the buffer of a submit or its reply is sent behind the header. */
export function encodePacket(packet: Command | Reply): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(packet.seqnum, 4)
  if (packet.type === 'submit' || packet.type === 'unlink') {
    header.writeUInt32BE(packet.devid, 8)
    header.writeUInt32BE(packet.direction === 'in' ? 1 : 0, 12)
    header.writeUInt32BE(packet.endpoint, 16)
  }
  switch (packet.type) {
    case 'submit': {
      header.writeUInt32BE(CMD_SUBMIT, 0)
      header.writeUInt32BE(packet.flags, 20)
      header.writeInt32BE(packet.length, 24)
      header.writeInt32BE(packet.startFrame, 28)
      header.writeInt32BE(packet.isoPackets ? packet.isoPackets.length : 0, 32)
      header.writeInt32BE(packet.interval, 36)
      packet.setup.copy(header, 40, 0, 8)
      return Buffer.concat([header, packet.data, writeIsoPackets(packet.isoPackets)])
    }
    case 'unlink':
      header.writeUInt32BE(CMD_UNLINK, 0)
      header.writeUInt32BE(packet.unlinkSeqnum, 20)
      return header
    case 'submit-reply': {
      header.writeUInt32BE(RET_SUBMIT, 0)
      header.writeInt32BE(packet.status, 20)
      header.writeInt32BE(packet.actualLength, 24)
      header.writeInt32BE(packet.startFrame, 28)
      header.writeInt32BE(packet.isoPackets ? packet.isoPackets.length : 0, 32)
      header.writeInt32BE(packet.errorCount, 36)
      return Buffer.concat([header, packet.data, writeIsoPackets(packet.isoPackets)])
    }
    case 'unlink-reply':
      header.writeUInt32BE(RET_UNLINK, 0)
      header.writeInt32BE(packet.status, 20)
      return header
  }
}

function parseDirection(value: number): Direction {
  if (value > 1) throw new ProtocolError(`direction ${value}`)
  return value === 1 ? 'in' : 'out'
}

function boundLength(length: number, limit: number): number {
  if (length < 0 || length > limit) throw new ProtocolError(`a buffer of ${length} bytes, limit ${limit}`)
  return length
}

/** The document says 0xffffffff for a transfer that is not isochronous, Linux sends 0. */
function isoPacketCount(count: number): number {
  if (count === -1) return 0
  if (count < 0 || count > MAX_ISO_PACKETS) throw new ProtocolError(`${count} isochronous packets`)
  return count
}

function readIsoPackets(bytes: Buffer, count: number, bufferLength: number): IsoPacket[] | null {
  if (count === 0) return null
  return Array.from({ length: count }, (_, i) => {
    const at = i * ISO_PACKET_BYTES
    const packet: IsoPacket = {
      offset: bytes.readUInt32BE(at),
      length: bytes.readUInt32BE(at + 4),
      actualLength: bytes.readUInt32BE(at + 8),
      status: bytes.readInt32BE(at + 12),
    }
    if (packet.offset + packet.length > bufferLength || packet.actualLength > packet.length) {
      throw new ProtocolError('an isochronous packet outside of its buffer')
    }
    return packet
  })
}

function writeIsoPackets(packets: readonly IsoPacket[] | null): Buffer {
  const bytes = Buffer.alloc((packets?.length ?? 0) * ISO_PACKET_BYTES)
  packets?.forEach((packet, i) => {
    const at = i * ISO_PACKET_BYTES
    bytes.writeUInt32BE(packet.offset, at)
    bytes.writeUInt32BE(packet.length, at + 4)
    bytes.writeUInt32BE(packet.actualLength, at + 8)
    bytes.writeInt32BE(packet.status, at + 12)
  })
  return bytes
}
