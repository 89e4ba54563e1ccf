import { type Announced, HEADER_BYTES } from './wire.ts'

/**
 * Cuts a byte stream into packets, however it was chunked. It holds at most one packet that is not whole;
 * its size is known from the header before anything is allocated for it.
 */
export class PacketReader<Packet> {
  readonly #announce: (header: Buffer) => Announced<Packet>
  #chunks: Buffer[] = []
  #held = 0
  #announced: Announced<Packet> | null = null

  /** `announce` reads a header, and throws ProtocolError for one that must end the connection. */
  constructor(announce: (header: Buffer) => Announced<Packet>) {
    this.#announce = announce
  }

  /** Yields the packets that `chunk` completes. After a throw the reader is of no further use. */
  *push(chunk: Buffer): Generator<Packet> {
    this.#chunks.push(chunk)
    this.#held += chunk.length
    for (;;) {
      if (!this.#announced) {
        if (this.#held < HEADER_BYTES) return
        this.#announced = this.#announce(this.#take(HEADER_BYTES))
      }
      if (this.#held < this.#announced.bodyBytes) return
      const { bodyBytes, finish } = this.#announced
      this.#announced = null
      yield finish(this.#take(bodyBytes))
    }
  }

  #take(bytes: number): Buffer {
    if (bytes === 0) return Buffer.alloc(0)
    const [first] = this.#chunks
    if (first && first.length > bytes) {
      this.#chunks[0] = first.subarray(bytes)
      this.#held -= bytes
      return first.subarray(0, bytes)
    }
    const taken: Buffer[] = []
    let missing = bytes
    while (missing > 0) {
      const chunk = this.#chunks.shift()
      if (!chunk) throw new RangeError('more bytes taken than held')
      const part = chunk.subarray(0, missing)
      taken.push(part)
      missing -= part.length
      if (part.length < chunk.length) this.#chunks.unshift(chunk.subarray(part.length))
    }
    this.#held -= bytes
    const [only] = taken
    return taken.length === 1 && only ? only : Buffer.concat(taken, bytes)
  }
}
