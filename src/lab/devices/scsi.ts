import { BLOCK_BYTES } from './disk-image.ts'

/** Sense key, additional sense code and qualifier (SPC-4, section 4.5): why a command failed. */
export interface Sense {
  readonly key: number
  readonly code: number
  readonly qualifier: number
}

export const SENSE = {
  none: { key: 0, code: 0, qualifier: 0 },
  writeError: { key: 3, code: 0x0c, qualifier: 0 },
  readError: { key: 3, code: 0x11, qualifier: 0 },
  invalidCommand: { key: 5, code: 0x20, qualifier: 0 },
  outOfRange: { key: 5, code: 0x21, qualifier: 0 },
  invalidField: { key: 5, code: 0x24, qualifier: 0 },
} as const satisfies Record<string, Sense>

/** What a command block asks of the medium, once understood. Offsets and lengths are bytes. */
export type ScsiAction =
  | { readonly do: 'nothing' }
  | { readonly do: 'send'; readonly data: Buffer }
  | { readonly do: 'read'; readonly offset: number; readonly length: number }
  | { readonly do: 'write'; readonly offset: number; readonly length: number }
  | { readonly do: 'flush' }
  | { readonly do: 'fail'; readonly sense: Sense }

/** What INQUIRY and READ CAPACITY tell of a stick. */
export interface ScsiUnit {
  readonly blocks: number
  /** ASCII, cut to 8 and 16 characters. */
  readonly vendor: string
  readonly product: string
  readonly serial: string
}

/** The operation codes that both sides of the lab use (SPC-4, SBC-3). */
export const SCSI = {
  testUnitReady: 0x00,
  requestSense: 0x03,
  inquiry: 0x12,
  modeSense6: 0x1a,
  startStop: 0x1b,
  preventRemoval: 0x1e,
  readFormatCapacities: 0x23,
  readCapacity10: 0x25,
  read10: 0x28,
  write10: 0x2a,
  verify10: 0x2f,
  synchronizeCache10: 0x35,
  modeSense10: 0x5a,
} as const

/** Understands one command block; `sense` is what the last failure left for REQUEST SENSE. */
export function interpretCommand(block: Buffer, unit: ScsiUnit, sense: Sense): ScsiAction {
  const bytes = Buffer.alloc(16)
  block.copy(bytes)
  switch (bytes.readUInt8(0)) {
    case SCSI.testUnitReady:
    case SCSI.startStop:
    case SCSI.preventRemoval:
      return { do: 'nothing' }
    case SCSI.requestSense:
      return send(senseData(sense), bytes.readUInt8(4))
    case SCSI.inquiry:
      return inquire(bytes, unit)
    case SCSI.modeSense6:
      return modeSense(bytes.readUInt8(2) & 0x3f, bytes.readUInt8(4), false)
    case SCSI.modeSense10:
      return modeSense(bytes.readUInt8(2) & 0x3f, bytes.readUInt16BE(7), true)
    case SCSI.readFormatCapacities:
      return send(formatCapacities(unit), bytes.readUInt16BE(7))
    case SCSI.readCapacity10:
      return { do: 'send', data: capacity(unit) }
    case SCSI.read10:
      return onRange(bytes, unit, 'read')
    case SCSI.write10:
      return onRange(bytes, unit, 'write')
    case SCSI.verify10: {
      if ((bytes.readUInt8(1) & 0x06) !== 0) return { do: 'fail', sense: SENSE.invalidField }
      const range = onRange(bytes, unit, 'read')
      return range.do === 'fail' ? range : { do: 'nothing' }
    }
    case SCSI.synchronizeCache10:
      return { do: 'flush' }
    default:
      return { do: 'fail', sense: SENSE.invalidCommand }
  }
}

function send(data: Buffer, allocated: number): ScsiAction {
  return { do: 'send', data: data.subarray(0, allocated) }
}

function onRange(bytes: Buffer, unit: ScsiUnit, what: 'read' | 'write'): ScsiAction {
  const first = bytes.readUInt32BE(2)
  const count = bytes.readUInt16BE(7)
  if (first + count > unit.blocks) return { do: 'fail', sense: SENSE.outOfRange }
  return { do: what, offset: first * BLOCK_BYTES, length: count * BLOCK_BYTES }
}

function senseData({ key, code, qualifier }: Sense): Buffer {
  const data = Buffer.alloc(18)
  data.writeUInt8(0x70, 0)
  data.writeUInt8(key, 2)
  data.writeUInt8(10, 7)
  data.writeUInt8(code, 12)
  data.writeUInt8(qualifier, 13)
  return data
}

/** Vital product data 0x00 (which pages there are) and 0x80 (serial), else the standard 36 bytes. */
function inquire(bytes: Buffer, unit: ScsiUnit): ScsiAction {
  const allocated = bytes.readUInt16BE(3)
  const page = bytes.readUInt8(2)
  if ((bytes.readUInt8(1) & 1) !== 0) {
    if (page === 0x00) return send(Buffer.from([0, 0x00, 0, 2, 0x00, 0x80]), allocated)
    if (page !== 0x80) return { do: 'fail', sense: SENSE.invalidField }
    const serial = Buffer.from(ascii(unit.serial, unit.serial.length).slice(0, 64), 'latin1')
    return send(Buffer.concat([Buffer.from([0, 0x80, 0, serial.length]), serial]), allocated)
  }
  if (page !== 0) return { do: 'fail', sense: SENSE.invalidField }
  // A disk, removable, SPC-2, response format 2, 31 bytes follow.
  const head = Buffer.from([0x00, 0x80, 0x04, 0x02, 31, 0, 0, 0])
  const names = `${ascii(unit.vendor, 8)}${ascii(unit.product, 16)}1.00`
  return send(Buffer.concat([head, Buffer.from(names, 'latin1')]), allocated)
}

function ascii(text: string, width: number): string {
  return text
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, width)
    .padEnd(width)
}

/** A header and the caching page (write cache on, so that Linux flushes); no block descriptor. */
function modeSense(page: number, allocated: number, long: boolean): ScsiAction {
  if (page !== 0x08 && page !== 0x3f) return { do: 'fail', sense: SENSE.invalidField }
  const caching = Buffer.alloc(20)
  caching.writeUInt8(0x08, 0)
  caching.writeUInt8(18, 1)
  caching.writeUInt8(0x04, 2)
  const header = Buffer.alloc(long ? 8 : 4)
  if (long) header.writeUInt16BE(header.length + caching.length - 2, 0)
  else header.writeUInt8(header.length + caching.length - 1, 0)
  return send(Buffer.concat([header, caching]), allocated)
}

function capacity(unit: ScsiUnit): Buffer {
  const data = Buffer.alloc(8)
  data.writeUInt32BE(unit.blocks - 1, 0)
  data.writeUInt32BE(BLOCK_BYTES, 4)
  return data
}

function formatCapacities(unit: ScsiUnit): Buffer {
  const data = Buffer.alloc(12)
  data.writeUInt8(8, 3)
  data.writeUInt32BE(unit.blocks, 4)
  data.writeUInt32BE(BLOCK_BYTES, 8)
  data.writeUInt8(2, 8)
  return data
}
