import type { Duplex } from 'node:stream'
import { type EmulatedDevice, UsbStall } from '../devices/emulated.ts'
import { parseSetup } from '../devices/setup.ts'
import { ERRNO } from './errno.ts'
import type { Export, ExportEnd, ServeOptions } from './interface.ts'
import { PacketReader } from './packet-reader.ts'
import {
  announceCommand,
  type Command,
  encodePacket,
  MAX_TRANSFER,
  ProtocolError,
  type Reply,
  type Submit,
  type Unlink,
} from './wire.ts'

/** What one peer may have waiting here, so that a hostile one cannot fill the memory; Linux stays far below. */
const MAX_PENDING = 4096
const MAX_PENDING_BYTES = 16 * 1024 * 1024
/** URB_SHORT_NOT_OK of the kernel: a short IN transfer is an error (scatter-gather lists stop there). */
const SHORT_NOT_OK = 1

interface Pending {
  readonly submit: Submit
  readonly abort: AbortController
  running: boolean
  /** The sequence number of the UNLINK that waits until the transfer has let go. */
  unlinkedBy: number | null
}

/**
 * Serves `device` on `stream` until either side ends it: the backend's usbip-host. The handshake line has been
 * exchanged before. One export of a device at a time: wait for `done` before the next one or `device.close()`.
 */
export function serveDevice(device: EmulatedDevice, stream: Duplex, options: ServeOptions = {}): Export {
  const served = new Served(device, stream, options)
  return {
    done: served.done,
    close: () => served.end({ reason: 'closed' }),
    stall: () => served.hold(),
    resume: () => served.release(),
  }
}

class Served {
  readonly done: Promise<ExportEnd>
  readonly #device: EmulatedDevice
  readonly #stream: Duplex
  readonly #devid: number | undefined
  readonly #pending = new Map<number, Pending>()
  readonly #lanes = new Map<number, Promise<void>>()
  /** Transfers, and their bytes, that are not over yet; those already unlinked count too. */
  #open = 0
  #openBytes = 0
  #ended: ExportEnd | null = null
  #settle: (end: ExportEnd) => void = () => {}
  #wake: (() => void)[] = []
  #held = false

  constructor(device: EmulatedDevice, stream: Duplex, options: ServeOptions) {
    this.#device = device
    this.#stream = stream
    this.#devid = options.devid
    this.done = new Promise((resolve) => {
      this.#settle = resolve
    })
    device.reset()
    const maxTransfer = options.maxTransfer ?? MAX_TRANSFER
    const reader = new PacketReader<Command>((header) => announceCommand(header, maxTransfer))
    stream.on('data', (chunk: Buffer) => this.#read(reader, chunk))
    stream.on('end', () => this.end({ reason: 'peer' }))
    stream.on('close', () => this.end({ reason: 'peer' }))
    stream.on('error', (error) => this.end({ reason: 'error', error }))
    stream.on('drain', () => this.#drained())
    if (stream.destroyed) this.end({ reason: 'peer' })
  }

  end(end: ExportEnd): void {
    if (this.#ended) return
    this.#ended = end
    this.#stream.destroy()
    for (const transfer of this.#pending.values()) transfer.abort.abort()
    this.#pending.clear()
    this.#wakeAll()
    // Only a device that no transfer uses any more can be reset and exported again.
    void Promise.all(this.#lanes.values()).then(() => {
      this.#device.reset()
      this.#settle(end)
    })
  }

  hold(): void {
    this.#held = true
    this.#stream.pause()
  }

  release(): void {
    this.#held = false
    this.#drained()
  }

  #read(reader: PacketReader<Command>, chunk: Buffer): void {
    if (this.#ended) return
    try {
      for (const command of reader.push(chunk)) {
        if (this.#devid !== undefined && command.devid !== this.#devid) {
          throw new ProtocolError(`device ${command.devid} is not exported here`)
        }
        if (command.type === 'submit') this.#accept(command)
        else this.#unlink(command)
      }
      this.#stream.pause()
      this.#readOn()
    } catch (error) {
      this.end({ reason: 'error', error: error instanceof Error ? error : new Error(String(error)) })
    }
  }

  #accept(submit: Submit): void {
    if (this.#pending.has(submit.seqnum)) throw new ProtocolError(`transfer ${submit.seqnum} twice`)
    this.#open += 1
    this.#openBytes += submit.data.length
    if (this.#open > MAX_PENDING || this.#openBytes > MAX_PENDING_BYTES) {
      throw new ProtocolError('too many transfers at once')
    }
    const transfer: Pending = { submit, abort: new AbortController(), running: false, unlinkedBy: null }
    this.#pending.set(submit.seqnum, transfer)
    const lane = submit.endpoint === 0 ? 0 : submit.endpoint | (submit.direction === 'in' ? 0x80 : 0)
    const before = this.#lanes.get(lane) ?? Promise.resolve()
    this.#lanes.set(
      lane,
      before.then(() => this.#carryOut(transfer)),
    )
  }

  /** Does one transfer and answers it; never rejects, so that its lane goes on. */
  async #carryOut(transfer: Pending): Promise<void> {
    const { submit, abort } = transfer
    if (!abort.signal.aborted) {
      transfer.running = true
      const reply = await perform(this.#device, submit, abort.signal)
      if (transfer.unlinkedBy !== null) await this.#send(unlinked(transfer.unlinkedBy))
      else if (!this.#ended) {
        // Answered from here on: an UNLINK that comes now has come too late, as on Linux.
        this.#pending.delete(submit.seqnum)
        await this.#send(reply)
      }
    }
    this.#open -= 1
    this.#openBytes -= submit.data.length
  }

  #unlink(unlink: Unlink): void {
    const transfer = this.#pending.get(unlink.unlinkSeqnum)
    if (!transfer) {
      void this.#send({ type: 'unlink-reply', seqnum: unlink.seqnum, status: 0 })
      return
    }
    this.#pending.delete(unlink.unlinkSeqnum)
    if (transfer.running) transfer.unlinkedBy = unlink.seqnum
    else void this.#send(unlinked(unlink.seqnum))
    transfer.abort.abort()
  }

  /** Waits while the link is held or the peer does not read: replies must not pile up here. */
  async #send(reply: Reply): Promise<void> {
    while (this.#held && !this.#ended) await this.#nextWake()
    if (this.#ended) return
    if (this.#stream.write(encodePacket(reply))) return
    while (this.#stream.writableNeedDrain && !this.#ended) await this.#nextWake()
  }

  #drained(): void {
    this.#wakeAll()
    this.#readOn()
  }

  /**
   * A peer that does not read its replies is not read either: the next piece is read when those that wait to be sent are
   * out. How much a stream takes at once, and so how soon it tells of that, is Node's own affair.
   */
  #readOn(): void {
    // After the replies that can be made at once.
    setImmediate(() => {
      if (!this.#held && !this.#ended && !this.#stream.writableNeedDrain) this.#stream.resume()
    })
  }

  #nextWake(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake.push(resolve)
    })
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

function unlinked(seqnum: number): Reply {
  return { type: 'unlink-reply', seqnum, status: -ERRNO.ECONNRESET }
}

async function perform(device: EmulatedDevice, submit: Submit, signal: AbortSignal): Promise<Reply> {
  if (submit.isoPackets) return refuseIsochronous(submit)
  try {
    if (submit.endpoint === 0) {
      const setup = parseSetup(submit.setup)
      const toHost = (setup.requestType & 0x80) !== 0 && setup.length > 0
      if (toHost !== (submit.direction === 'in')) throw new UsbStall('setup packet and pipe disagree')
      const received = await device.control(setup, submit.data, signal)
      return toHost ? inReply(submit, received) : outReply(submit, submit.length)
    }
    if (submit.direction === 'out') {
      return outReply(submit, await device.transferOut(submit.endpoint, submit.data, signal))
    }
    return inReply(submit, await device.transferIn(submit.endpoint | 0x80, submit.length, signal))
  } catch (error) {
    return failed(submit, error instanceof UsbStall ? -ERRNO.EPIPE : -ERRNO.EPROTO)
  }
}

function inReply(submit: Submit, data: Buffer): Reply {
  // A device that sends more than was asked for is babbling; the host controller keeps what fits.
  if (data.length > submit.length) return failed(submit, -ERRNO.EOVERFLOW)
  const short = data.length < submit.length && (submit.flags & SHORT_NOT_OK) !== 0
  return {
    type: 'submit-reply',
    seqnum: submit.seqnum,
    status: short ? -ERRNO.EREMOTEIO : 0,
    actualLength: data.length,
    startFrame: 0,
    errorCount: 0,
    data,
    isoPackets: null,
  }
}

function outReply(submit: Submit, actualLength: number): Reply {
  return { ...failed(submit, 0), actualLength }
}

function failed(submit: Submit, status: number): Reply & { type: 'submit-reply' } {
  return {
    type: 'submit-reply',
    seqnum: submit.seqnum,
    status,
    actualLength: 0,
    startFrame: 0,
    errorCount: 0,
    data: Buffer.alloc(0),
    isoPackets: null,
  }
}

/** No emulated device streams: every packet comes back as missed, in the form that the kernel expects. */
function refuseIsochronous(submit: Submit): Reply {
  const isoPackets = (submit.isoPackets ?? []).map((packet) => ({
    ...packet,
    actualLength: 0,
    status: -ERRNO.EXDEV,
  }))
  return { ...failed(submit, 0), startFrame: submit.startFrame, errorCount: isoPackets.length, isoPackets }
}
