/** CTAPHID (FIDO Client to Authenticator Protocol 2.1, section 11.2): messages in packets of 64 bytes. */
export const CTAPHID = {
  packetBytes: 64,
  broadcast: 0xffffffff,
  ping: 0x01,
  init: 0x06,
  wink: 0x08,
  cancel: 0x11,
  error: 0x3f,
  /** 57 bytes in the first packet, 59 in each of 128 more. */
  maxMessage: 7609,
} as const

const ERROR = {
  invalidCommand: 1,
  invalidLength: 3,
  invalidSequence: 4,
  busy: 6,
  invalidChannel: 0x0b,
} as const
const INIT_PACKET_ROOM = CTAPHID.packetBytes - 7
const NEXT_PACKET_ROOM = CTAPHID.packetBytes - 5
/** Wink, and no messages of the older U2F. */
const CAPABILITIES = 0x01 | 0x08

interface Message {
  readonly channel: number
  readonly command: number
  readonly length: number
  parts: Buffer[]
  received: number
  sequence: number
}

/** The message layer of a security key: packets in, packets out. It answers INIT, PING and WINK. */
export class CtapHid {
  readonly #send: (packet: Buffer) => void
  #channels = 0
  #message: Message | null = null

  constructor(send: (packet: Buffer) => void) {
    this.#send = send
  }

  reset(): void {
    this.#channels = 0
    this.#message = null
  }

  /** Takes one packet of the host; a shorter one counts as filled up with zeroes. */
  receive(bytes: Buffer): void {
    const packet = Buffer.alloc(CTAPHID.packetBytes)
    bytes.copy(packet)
    const channel = packet.readUInt32BE(0)
    const kind = packet.readUInt8(4)
    const first = (kind & 0x80) !== 0
    const error = first ? this.#first(channel, kind & 0x7f, packet) : this.#next(channel, kind, packet)
    if (error !== null) this.#reply(channel, CTAPHID.error, Buffer.from([error]))
  }

  /** The three below return an error to answer with, or null. */
  #first(channel: number, command: number, packet: Buffer): number | null {
    const length = packet.readUInt16BE(5)
    if (command === CTAPHID.cancel) return null
    const known = channel !== 0 && channel <= this.#channels
    if (!known && !(channel === CTAPHID.broadcast && command === CTAPHID.init)) {
      return ERROR.invalidChannel
    }
    // INIT on the channel that is talking starts it anew; another channel has to wait.
    if (this.#message && this.#message.channel !== channel) return ERROR.busy
    if (this.#message && command !== CTAPHID.init) {
      this.#message = null
      return ERROR.invalidSequence
    }
    if (length > CTAPHID.maxMessage) return ERROR.invalidLength
    const part = Buffer.from(packet.subarray(7, 7 + Math.min(length, INIT_PACKET_ROOM)))
    this.#message = { channel, command, length, parts: [part], received: part.length, sequence: 0 }
    return this.#answerIfWhole()
  }

  #next(channel: number, sequence: number, packet: Buffer): number | null {
    const message = this.#message
    // A continuation of nothing is ignored.
    if (!message || message.channel !== channel) return null
    if (sequence !== message.sequence) {
      this.#message = null
      return ERROR.invalidSequence
    }
    const missing = Math.min(message.length - message.received, NEXT_PACKET_ROOM)
    message.parts.push(Buffer.from(packet.subarray(5, 5 + missing)))
    message.received += missing
    message.sequence += 1
    return this.#answerIfWhole()
  }

  #answerIfWhole(): number | null {
    const message = this.#message
    if (!message || message.received < message.length) return null
    this.#message = null
    const data = Buffer.concat(message.parts)
    switch (message.command) {
      case CTAPHID.init:
        return this.#initialise(message.channel, data)
      case CTAPHID.ping:
        this.#reply(message.channel, CTAPHID.ping, data)
        return null
      case CTAPHID.wink:
        this.#reply(message.channel, CTAPHID.wink, Buffer.alloc(0))
        return null
      default:
        return ERROR.invalidCommand
    }
  }

  #initialise(channel: number, nonce: Buffer): number | null {
    if (nonce.length !== 8) return ERROR.invalidLength
    if (channel === CTAPHID.broadcast) this.#channels += 1
    const answer = Buffer.alloc(17)
    nonce.copy(answer)
    answer.writeUInt32BE(channel === CTAPHID.broadcast ? this.#channels : channel, 8)
    // Protocol version 2, device version 5.4.3.
    answer.set([2, 5, 4, 3, CAPABILITIES], 12)
    this.#reply(channel, CTAPHID.init, answer)
    return null
  }

  #reply(channel: number, command: number, data: Buffer): void {
    for (const packet of packMessage(channel, command, data)) this.#send(packet)
  }
}

/** Cuts a message into its packets. */
export function packMessage(channel: number, command: number, data: Buffer): Buffer[] {
  const first = Buffer.alloc(CTAPHID.packetBytes)
  first.writeUInt32BE(channel, 0)
  first.writeUInt8(0x80 | command, 4)
  first.writeUInt16BE(data.length, 5)
  data.copy(first, 7, 0, INIT_PACKET_ROOM)
  const packets = [first]
  for (let at = INIT_PACKET_ROOM; at < data.length; at += NEXT_PACKET_ROOM) {
    const next = Buffer.alloc(CTAPHID.packetBytes)
    next.writeUInt32BE(channel, 0)
    next.writeUInt8(packets.length - 1, 4)
    data.copy(next, 5, at, at + NEXT_PACKET_ROOM)
    packets.push(next)
  }
  return packets
}
