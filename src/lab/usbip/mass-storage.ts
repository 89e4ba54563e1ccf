import { randomInt } from 'node:crypto'
import { BULK_ONLY, COMMAND_SIGNATURE, STATUS_SIGNATURE } from '../devices/bulk-only.ts'
import { SCSI } from '../devices/scsi.ts'
import { DESCRIPTOR, REQUEST_TYPE } from '../devices/setup.ts'
import { UsbipError } from './errno.ts'
import type { ImportedDevice, TransferOptions } from './interface.ts'

/** As usb-storage at high speed: 240 sectors of 512 bytes a command. */
const BLOCKS_A_COMMAND = 240

/** A SCSI command that the stick refused, with its sense data. */
export class ScsiError extends Error {
  readonly key: number
  readonly code: number

  constructor(operation: number, key: number, code: number) {
    super(`SCSI command 0x${operation.toString(16)} failed: sense ${key}/${code.toString(16)}`)
    this.name = 'ScsiError'
    this.key = key
    this.code = code
  }
}

/** A stick that has been asked who it is and how large. */
export interface MassStorage {
  /** What INQUIRY says, without its padding. */
  readonly vendor: string
  readonly product: string
  readonly blockBytes: number
  readonly blocks: number
  /** Mode sense's write protection. */
  readonly readOnly: boolean
  readBlocks(first: number, count: number, options?: TransferOptions): Promise<Buffer>
  writeBlocks(first: number, data: Buffer, options?: TransferOptions): Promise<void>
}

/** `count` blocks from block `first`, as usb-storage reads them. Throws UsbipError, ScsiError. */
export async function readBlocks(
  device: ImportedDevice,
  first: number,
  count: number,
  options?: TransferOptions,
): Promise<Buffer> {
  return (await openMassStorage(device, options)).readBlocks(first, count, options)
}

/** Writes whole blocks from block `first` on, and flushes them. Throws UsbipError, ScsiError. */
export async function writeBlocks(
  device: ImportedDevice,
  first: number,
  data: Buffer,
  options?: TransferOptions,
): Promise<void> {
  return (await openMassStorage(device, options)).writeBlocks(first, data, options)
}

/** Finds the bulk-only interface and readies the unit. Throws UsbipError `ENODEV` when there is none. */
export async function openMassStorage(
  device: ImportedDevice,
  options?: TransferOptions,
): Promise<MassStorage> {
  const unit = new Unit(device)
  await unit.maxLun(options)
  const inquiry = await unit.command(block6(SCSI.inquiry, 36), 36, null, options)
  await unit.becomeReady(options)
  const capacity = await unit.command(block10(SCSI.readCapacity10, 0, 0), 8, null, options)
  const mode = await unit.command(block6(SCSI.modeSense6, 192, 0x3f), 192, null, options)
  if (inquiry.length < 36 || capacity.length < 8) throw new UsbipError('EPROTO', 'the unit says too little')
  const blocks = capacity.readUInt32BE(0) + 1
  const blockBytes = capacity.readUInt32BE(4)
  if (blockBytes < 1 || blockBytes > 4096) throw new UsbipError('EPROTO', `blocks of ${blockBytes} bytes`)
  return {
    vendor: inquiry.toString('latin1', 8, 16).trim(),
    product: inquiry.toString('latin1', 16, 32).trim(),
    blockBytes,
    blocks,
    readOnly: ((mode[2] ?? 0) & 0x80) !== 0,
    async readBlocks(first, count, readOptions) {
      const parts: Buffer[] = []
      for (let done = 0; done < count; done += BLOCKS_A_COMMAND) {
        const now = Math.min(BLOCKS_A_COMMAND, count - done)
        const block = block10(SCSI.read10, first + done, now)
        const part = await unit.command(block, now * blockBytes, null, readOptions)
        if (part.length !== now * blockBytes) throw new UsbipError('EIO', 'fewer blocks than asked for')
        parts.push(part)
      }
      return Buffer.concat(parts)
    },
    async writeBlocks(first, data, writeOptions) {
      if (data.length % blockBytes !== 0) throw new UsbipError('EINVAL', `${data.length} bytes are no blocks`)
      for (let done = 0; done < data.length / blockBytes; done += BLOCKS_A_COMMAND) {
        const part = data.subarray(done * blockBytes, (done + BLOCKS_A_COMMAND) * blockBytes)
        const block = block10(SCSI.write10, first + done, part.length / blockBytes)
        await unit.command(block, 0, part, writeOptions)
      }
      await unit.command(block10(SCSI.synchronizeCache10, 0, 0), 0, null, writeOptions)
    },
  }
}

/** One logical unit behind the bulk-only transport, host's side; one command at a time. */
class Unit {
  readonly #device: ImportedDevice
  readonly #in: number
  readonly #out: number
  readonly #interface: number
  #tag = randomInt(0x7fffffff)

  constructor(device: ImportedDevice) {
    this.#device = device
    const found = findBulkOnly(device.facts.descriptors)
    if (!found) throw new UsbipError('ENODEV', 'no mass storage here')
    this.#interface = found.number
    this.#in = found.in
    this.#out = found.out
  }

  async maxLun(options?: TransferOptions): Promise<number> {
    const requestType = REQUEST_TYPE.in | REQUEST_TYPE.classInterface
    const setup = { requestType, request: BULK_ONLY.maxLun, value: 0, index: this.#interface, length: 1 }
    try {
      return (await this.#device.control(setup, undefined, options))[0] ?? 0
    } catch (error) {
      // A device with one unit may stall this one.
      if (error instanceof UsbipError && error.code === 'EPIPE') return 0
      throw error
    }
  }

  /** TEST UNIT READY; a fresh medium reports its attention once or twice first. */
  async becomeReady(options?: TransferOptions): Promise<void> {
    for (let tries = 3; ; tries--) {
      try {
        await this.command(block6(SCSI.testUnitReady, 0), 0, null, options)
        return
      } catch (error) {
        if (tries === 1 || !(error instanceof ScsiError) || error.key !== 6) throw error
      }
    }
  }

  /** One command: wrapper, data of `want` bytes in or `data` out, status. Returns the bytes read. */
  async command(
    block: Buffer,
    want: number,
    data: Buffer | null,
    options?: TransferOptions,
  ): Promise<Buffer> {
    const { status, received } = await this.#transport(block, want, data, options)
    if (status === 0) return received
    if (status !== 1) throw new UsbipError('EPROTO', 'host and device disagree about the data phase')
    const sense = (await this.#transport(block6(SCSI.requestSense, 18), 18, null, options)).received
    throw new ScsiError(block.readUInt8(0), (sense[2] ?? 0) & 0x0f, sense[12] ?? 0)
  }

  async #transport(block: Buffer, want: number, data: Buffer | null, options?: TransferOptions) {
    this.#tag = (this.#tag + 1) >>> 0
    const wrapper = Buffer.alloc(BULK_ONLY.wrapperBytes)
    wrapper.writeUInt32LE(COMMAND_SIGNATURE, 0)
    wrapper.writeUInt32LE(this.#tag, 4)
    wrapper.writeUInt32LE(data ? data.length : want, 8)
    wrapper.writeUInt8(data ? 0 : 0x80, 12)
    wrapper.writeUInt8(block.length, 14)
    block.copy(wrapper, 15)
    await this.#device.transferOut(this.#out, wrapper, options)
    let received: Buffer = Buffer.alloc(0)
    if (data) {
      await this.#clearingStall(this.#out, () => this.#device.transferOut(this.#out, data, options), options)
    } else if (want > 0) {
      const read = () => this.#device.transferIn(this.#in, want, options)
      received = (await this.#clearingStall(this.#in, read, options)) ?? received
    }
    const status = await this.#status(options)
    return { status, received }
  }

  async #status(options?: TransferOptions): Promise<number> {
    const read = () => this.#device.transferIn(this.#in, BULK_ONLY.statusBytes, options)
    // A stall in the status phase is cleared and the status asked for once more (section 6.7.2).
    const wrapper = (await this.#clearingStall(this.#in, read, options)) ?? (await read())
    const valid =
      wrapper.length === BULK_ONLY.statusBytes &&
      wrapper.readUInt32LE(0) === STATUS_SIGNATURE &&
      wrapper.readUInt32LE(4) === this.#tag
    if (!valid) throw new UsbipError('EPROTO', 'not the status of this command')
    return wrapper.readUInt8(12)
  }

  /** Does the transfer; a stall clears the endpoint and gives null. */
  async #clearingStall<T>(
    endpoint: number,
    transfer: () => Promise<T>,
    options?: TransferOptions,
  ): Promise<T | null> {
    try {
      return await transfer()
    } catch (error) {
      if (!(error instanceof UsbipError) || error.code !== 'EPIPE') throw error
      await this.#device.clearHalt(endpoint, options)
      return null
    }
  }
}

/** The first interface 08/06/50 with a bulk endpoint each way. */
function findBulkOnly(descriptors: Buffer): { number: number; in: number; out: number } | null {
  let current: { number: number; in: number; out: number } | null = null
  for (let at = 0; at + 2 <= descriptors.length; at += Math.max(2, descriptors.readUInt8(at))) {
    const part = descriptors.subarray(at, at + descriptors.readUInt8(at))
    if (part[1] === DESCRIPTOR.interface && part.length >= 9) {
      const bulkOnly = part.toString('hex', 5, 8) === '080650'
      current = bulkOnly ? { number: part.readUInt8(2), in: 0, out: 0 } : null
    } else if (part[1] === DESCRIPTOR.endpoint && part.length >= 7 && current) {
      const address = part.readUInt8(2)
      if ((part.readUInt8(3) & 3) !== 2) continue
      if ((address & 0x80) !== 0) current.in = address
      else current.out = address
      if (current.in !== 0 && current.out !== 0) return current
    }
  }
  return null
}

function block6(operation: number, length: number, page = 0): Buffer {
  return Buffer.from([operation, 0, page, 0, length, 0])
}

function block10(operation: number, first: number, count: number): Buffer {
  const block = Buffer.alloc(10)
  block.writeUInt8(operation, 0)
  block.writeUInt32BE(first, 2)
  block.writeUInt16BE(count, 7)
  return block
}
