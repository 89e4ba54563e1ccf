import type { DiskImage } from './disk-image.ts'
import { type SetupPacket, UsbStall } from './emulated.ts'
import { waitForWake } from './packet-queue.ts'
import { interpretCommand, type ScsiUnit, SENSE, type Sense } from './scsi.ts'
import { REQUEST_TYPE } from './setup.ts'
import type { UsbFunction } from './usb-function.ts'

export const BULK_ONLY = { wrapperBytes: 31, statusBytes: 13, maxLun: 0xfe, reset: 0xff } as const
export const COMMAND_SIGNATURE = 0x43425355
export const STATUS_SIGNATURE = 0x53425355
const PASSED = 0
const FAILED = 1
const PHASE_ERROR = 2

/** The command under way: its tag, the bytes that the host still expects to move, and how it will end. */
interface UnderWay {
  readonly tag: number
  readonly toHost: boolean
  /** Bytes of the host's data phase that are still to come. */
  expected: number
  /** Of the bytes it expected to move, those that did not count. */
  residue: number
  status: number
}

type Phase =
  | { readonly at: 'command' }
  /** `left` bytes come from the image at `offset`, or from `data`. */
  | { readonly at: 'in'; command: UnderWay; offset: number; left: number; data: Buffer | null }
  /** `left` bytes go into the image at `offset`; what the host sends beyond them is thrown away. */
  | { readonly at: 'out'; command: UnderWay; offset: number; left: number }
  /** The data endpoint stalls once, then the status follows. */
  | { readonly at: 'stall'; command: UnderWay }
  | { readonly at: 'status'; command: UnderWay }
  /** After a wrapper that made no sense, until the host resets. */
  | { readonly at: 'broken' }

/** Mass storage over the bulk-only transport (USB Mass Storage Class, Bulk-Only Transport 1.0), one unit. */
export class BulkOnlyStorage implements UsbFunction {
  readonly #image: DiskImage
  readonly #unit: ScsiUnit
  #phase: Phase = { at: 'command' }
  #sense: Sense = SENSE.none
  #wake: (() => void) | null = null

  constructor(image: DiskImage, unit: Omit<ScsiUnit, 'blocks'>) {
    this.#image = image
    this.#unit = { ...unit, blocks: image.blocks }
  }

  request(setup: SetupPacket, _data: Buffer): Buffer | null {
    const { requestType, request, value, index, length } = setup
    if (value !== 0 || index !== 0) return null
    if (requestType === (REQUEST_TYPE.in | REQUEST_TYPE.classInterface) && request === BULK_ONLY.maxLun) {
      return length === 1 ? Buffer.from([0]) : null
    }
    if (requestType === REQUEST_TYPE.classInterface && request === BULK_ONLY.reset && length === 0) {
      this.reset()
      return Buffer.alloc(0)
    }
    return null
  }

  reset(): void {
    this.#sense = SENSE.none
    this.#enter({ at: 'command' })
  }

  async close(): Promise<void> {
    await this.#image.close()
  }

  async transferIn(_endpoint: number, length: number, signal: AbortSignal): Promise<Buffer> {
    // Between commands, and while the host still sends, there is nothing to say yet.
    while (this.#phase.at === 'command' || this.#phase.at === 'out') {
      signal.throwIfAborted()
      await waitForWake(signal, (wake) => {
        this.#wake = wake
      })
    }
    signal.throwIfAborted()
    const phase = this.#phase
    if (phase.at === 'in') return this.#sendData(phase, length)
    if (phase.at === 'status') {
      this.#enter({ at: 'command' })
      return statusWrapper(phase.command).subarray(0, length)
    }
    if (phase.at === 'stall') this.#enter({ at: 'status', command: phase.command })
    throw new UsbStall(phase.at === 'broken' ? 'no valid command wrapper' : 'less data than asked for')
  }

  async transferOut(_endpoint: number, data: Buffer, _signal: AbortSignal): Promise<number> {
    const phase = this.#phase
    if (phase.at === 'command') {
      await this.#begin(data)
      return data.length
    }
    if (phase.at === 'out') return this.#receive(phase, data)
    if (phase.at === 'stall' && !phase.command.toHost) this.#enter({ at: 'status', command: phase.command })
    else this.#enter({ at: 'broken' })
    throw new UsbStall('no data is wanted')
  }

  #enter(phase: Phase): void {
    this.#phase = phase
    this.#wake?.()
    this.#wake = null
  }

  async #begin(wrapper: Buffer): Promise<void> {
    const block = parseCommandWrapper(wrapper)
    if (!block) {
      this.#enter({ at: 'broken' })
      throw new UsbStall('not a command wrapper')
    }
    const { tag, length, toHost, command: bytes } = block
    const action = interpretCommand(bytes, this.#unit, this.#sense)
    this.#sense = action.do === 'fail' ? action.sense : SENSE.none
    const command: UnderWay = { tag, toHost, expected: length, residue: length, status: PASSED }
    switch (action.do) {
      case 'fail':
        command.status = FAILED
        this.#withoutData(command)
        return
      case 'flush':
        await this.#orSense(command, SENSE.writeError, this.#image.flush())
        this.#withoutData(command)
        return
      case 'nothing':
        this.#withoutData(command)
        return
      case 'send':
      case 'read':
      case 'write': {
        const wanted = action.do === 'send' ? action.data.length : action.length
        const agreed = wanted === 0 || (length > 0 && toHost === (action.do !== 'write'))
        // Hosts and devices that disagree: the thirteen cases of the specification's section 6.7.
        if (!agreed || wanted > length) command.status = PHASE_ERROR
        if (!agreed || wanted === 0) return this.#withoutData(command)
        const left = Math.min(wanted, length)
        if (action.do === 'write') return this.#enter({ at: 'out', command, offset: action.offset, left })
        const [offset, data] = action.do === 'send' ? [0, action.data] : [action.offset, null]
        return this.#enter({ at: 'in', command, offset, left, data })
      }
    }
  }

  /** The host that expected a data phase all the same gets a stall in its stead. */
  #withoutData(command: UnderWay): void {
    this.#enter(command.expected > 0 ? { at: 'stall', command } : { at: 'status', command })
  }

  async #sendData(phase: Phase & { at: 'in' }, length: number): Promise<Buffer> {
    const { command } = phase
    const count = Math.min(length, phase.left)
    const data = phase.data
      ? phase.data.subarray(phase.offset, phase.offset + count)
      : await this.#orSense(command, SENSE.readError, this.#image.read(phase.offset, count))
    if (!data) {
      this.#enter({ at: 'status', command })
      throw new UsbStall('the medium cannot be read')
    }
    phase.offset += count
    phase.left -= count
    command.expected -= count
    command.residue -= count
    if (phase.left === 0) this.#withoutData(command)
    return data
  }

  async #receive(phase: Phase & { at: 'out' }, data: Buffer): Promise<number> {
    const { command } = phase
    const taken = data.subarray(0, phase.left)
    // After a failure the rest is taken and thrown away, so that the host comes to the status.
    if (command.status !== FAILED && taken.length > 0) {
      await this.#orSense(command, SENSE.writeError, this.#image.write(phase.offset, taken))
      if (command.status !== FAILED) command.residue -= taken.length
    }
    phase.offset += taken.length
    phase.left -= taken.length
    command.expected = Math.max(0, command.expected - data.length)
    if (phase.left === 0) this.#withoutData(command)
    return data.length
  }

  async #orSense<T>(command: UnderWay, sense: Sense, work: Promise<T>): Promise<T | null> {
    try {
      return await work
    } catch {
      command.status = FAILED
      this.#sense = sense
      return null
    }
  }
}

interface CommandWrapper {
  readonly tag: number
  readonly length: number
  readonly toHost: boolean
  readonly command: Buffer
}

/** A valid and meaningful wrapper (sections 6.2.1 and 6.2.2), or null. */
function parseCommandWrapper(bytes: Buffer): CommandWrapper | null {
  if (bytes.length !== BULK_ONLY.wrapperBytes || bytes.readUInt32LE(0) !== COMMAND_SIGNATURE) return null
  const blockBytes = bytes.readUInt8(14)
  if (bytes.readUInt8(13) !== 0 || blockBytes < 1 || blockBytes > 16) return null
  return {
    tag: bytes.readUInt32LE(4),
    length: bytes.readUInt32LE(8),
    toHost: (bytes.readUInt8(12) & 0x80) !== 0,
    command: bytes.subarray(15, 15 + blockBytes),
  }
}

function statusWrapper(command: UnderWay): Buffer {
  const bytes = Buffer.alloc(BULK_ONLY.statusBytes)
  bytes.writeUInt32LE(STATUS_SIGNATURE, 0)
  bytes.writeUInt32LE(command.tag, 4)
  bytes.writeUInt32LE(command.residue, 8)
  bytes.writeUInt8(command.status, 12)
  return bytes
}
