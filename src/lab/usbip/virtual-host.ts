import type { Duplex } from 'node:stream'
import type { SetupPacket } from '../devices/emulated.ts'
import type { DeviceFacts } from '../devices/facts.ts'
import { formatSetup, REQUEST, REQUEST_TYPE } from '../devices/setup.ts'
import { enumerate } from './enumerate.ts'
import { nameStatus, UsbipError } from './errno.ts'
import type { ImportedDevice, ImportOptions, TransferOptions } from './interface.ts'
import { PacketReader } from './packet-reader.ts'
import {
  type Awaited,
  announceReply,
  encodePacket,
  MAX_TRANSFER,
  ProtocolError,
  type Reply,
  type Submit,
} from './wire.ts'

/** Transfers without an answer, those given up by their callers included. */
const MAX_PENDING = 1024
const NOTHING = Buffer.alloc(0)

/**
 * Takes the device at the other end of `stream` and enumerates it: the frontend's vhci_hcd. A device that
 * cannot be enumerated rejects, and the stream is destroyed.
 */
export async function importDevice(stream: Duplex, options: ImportOptions): Promise<ImportedDevice> {
  const link = new Link(stream, options)
  try {
    const facts = await enumerate(link, options.speed, options.signal ? { signal: options.signal } : {})
    return imported(link, facts)
  } catch (error) {
    link.end(null)
    throw error
  }
}

function imported(link: Link, facts: DeviceFacts): ImportedDevice {
  return {
    facts,
    gone: link.gone,
    get isGone() {
      return link.isGone
    },
    control: (setup, data, options) => link.control(setup, data, options),
    transferIn: async (endpoint, length, options) =>
      (await link.submit('in', endpoint & 0x0f, null, NOTHING, length, options)).data,
    transferOut: async (endpoint, data, options) =>
      (await link.submit('out', endpoint & 0x0f, null, data, data.length, options)).actualLength,
    clearHalt: async (endpoint, options) => {
      const { standardEndpoint: requestType } = REQUEST_TYPE
      const setup = { requestType, request: REQUEST.clearFeature, value: 0, index: endpoint, length: 0 }
      await link.control(setup, undefined, options)
    },
    close: () => link.end(null),
  }
}

type SubmitReply = Extract<Reply, { type: 'submit-reply' }>

interface Pending extends Awaited {
  settle(reply: SubmitReply): void
  fail(error: UsbipError): void
}

/** The transfers of one device over one stream. */
class Link {
  readonly gone: Promise<Error | null>
  readonly #stream: Duplex
  readonly #devid: number
  readonly #maxTransfer: number
  readonly #pending = new Map<number, Pending>()
  /** UNLINKs without an answer: their sequence number, and that of the transfer they take back. */
  readonly #unlinking = new Map<number, number>()
  #seqnum = 0
  #ended: { readonly error: Error | null } | null = null
  #settleGone: (error: Error | null) => void = () => {}

  constructor(stream: Duplex, options: ImportOptions) {
    this.#stream = stream
    this.#devid = options.devid
    this.#maxTransfer = options.maxTransfer ?? MAX_TRANSFER
    this.gone = new Promise((resolve) => {
      this.#settleGone = resolve
    })
    const reader = new PacketReader<Reply>((header) => announceReply(header, (s) => this.#pending.get(s)))
    stream.on('data', (chunk: Buffer) => this.#read(reader, chunk))
    stream.on('end', () => this.end(new Error('the other side closed the link')))
    stream.on('close', () => this.end(new Error('the link was closed')))
    stream.on('error', (error) => this.end(error))
    if (stream.destroyed) this.end(new Error('the link was closed'))
  }

  get isGone(): boolean {
    return this.#ended !== null
  }

  end(error: Error | null): void {
    if (this.#ended) return
    this.#ended = { error }
    this.#stream.destroy()
    for (const transfer of this.#pending.values()) transfer.fail(this.#goneError())
    this.#pending.clear()
    this.#unlinking.clear()
    this.#settleGone(error)
  }

  async control(setup: SetupPacket, data: Buffer = NOTHING, options?: TransferOptions): Promise<Buffer> {
    const toHost = (setup.requestType & 0x80) !== 0 && setup.length > 0
    if (!toHost && data.length !== setup.length) {
      throw new UsbipError('EINVAL', `${data.length} bytes for a request of ${setup.length}`)
    }
    const direction = toHost ? 'in' : 'out'
    return (await this.submit(direction, 0, setup, toHost ? NOTHING : data, setup.length, options)).data
  }

  submit(
    direction: 'in' | 'out',
    endpoint: number,
    setup: SetupPacket | null,
    data: Buffer,
    length: number,
    { signal }: TransferOptions = {},
  ): Promise<SubmitReply> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refuse(length, signal)
      if (refusal) return reject(refusal)
      const seqnum = this.#nextSeqnum()
      const onAbort = () => {
        reject(new UsbipError('ECONNRESET', 'the transfer was given up', { cause: signal?.reason }))
        this.#unlink(seqnum, direction, endpoint)
      }
      const over = () => signal?.removeEventListener('abort', onAbort)
      this.#pending.set(seqnum, {
        direction,
        length,
        isoPackets: 0,
        settle: (reply) => {
          over()
          if (reply.status === 0) resolve(reply)
          else reject(transferError(reply.status))
        },
        fail: (error) => {
          over()
          reject(error)
        },
      })
      signal?.addEventListener('abort', onAbort, { once: true })
      const submit: Submit = {
        type: 'submit',
        seqnum,
        devid: this.#devid,
        direction,
        endpoint,
        flags: 0,
        length,
        startFrame: 0,
        interval: 0,
        setup: setup ? formatSetup(setup) : Buffer.alloc(8),
        data,
        isoPackets: null,
      }
      this.#stream.write(encodePacket(submit))
    })
  }

  #refuse(length: number, signal: AbortSignal | undefined): UsbipError | null {
    if (this.#ended) return this.#goneError()
    if (signal?.aborted) {
      return new UsbipError('ECONNRESET', 'the transfer was given up', { cause: signal.reason })
    }
    if (length > this.#maxTransfer) return new UsbipError('EINVAL', `${length} bytes in one transfer`)
    if (this.#pending.size >= MAX_PENDING)
      return new UsbipError('EIO', 'too many transfers without an answer')
    return null
  }

  /**
   * The transfer stays known until the peer answers it or its UNLINK: the bytes of a late answer must be
   * told from the next packet.
   */
  #unlink(unlinkSeqnum: number, direction: 'in' | 'out', endpoint: number): void {
    if (this.#ended || !this.#pending.has(unlinkSeqnum)) return
    const seqnum = this.#nextSeqnum()
    this.#unlinking.set(seqnum, unlinkSeqnum)
    const devid = this.#devid
    this.#stream.write(encodePacket({ type: 'unlink', seqnum, devid, direction, endpoint, unlinkSeqnum }))
  }

  #nextSeqnum(): number {
    // 32 bits on the wire; 0 is left out, as Linux does.
    this.#seqnum = this.#seqnum >= 0xffffffff ? 1 : this.#seqnum + 1
    return this.#seqnum
  }

  #read(reader: PacketReader<Reply>, chunk: Buffer): void {
    if (this.#ended) return
    try {
      for (const reply of reader.push(chunk)) this.#settle(reply)
    } catch (error) {
      this.end(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #settle(reply: Reply): void {
    if (reply.type === 'unlink-reply') {
      const transfer = this.#unlinking.get(reply.seqnum)
      if (transfer === undefined) throw new ProtocolError(`an UNLINK ${reply.seqnum} that was not asked for`)
      this.#unlinking.delete(reply.seqnum)
      this.#pending.delete(transfer)
      return
    }
    const transfer = this.#pending.get(reply.seqnum)
    this.#pending.delete(reply.seqnum)
    transfer?.settle(reply)
  }

  #goneError(): UsbipError {
    const cause = this.#ended?.error
    return new UsbipError('ENODEV', 'the device is gone', cause ? { cause } : {})
  }
}

function transferError(status: number): UsbipError {
  const code = nameStatus(status)
  return new UsbipError(
    code,
    code === 'EPIPE' ? 'the device stalled the transfer' : `the transfer failed: ${code}`,
  )
}
