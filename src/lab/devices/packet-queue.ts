/**
 * What an IN endpoint has to send, or will have: a transfer waits for it as a host controller polls a device
 * that answers NAK. Packets beyond the limit push the oldest out, as a device without memory does.
 */
export class PacketQueue {
  readonly #limit: number
  #packets: Buffer[] = []
  #waiting: (() => void) | null = null

  constructor(limit = 64) {
    this.#limit = limit
  }

  push(packet: Buffer): void {
    this.#packets.push(packet)
    if (this.#packets.length > this.#limit) this.#packets.shift()
    this.#waiting?.()
  }

  clear(): void {
    this.#packets = []
  }

  /** The next packet, cut to `length`; rejects with the signal's reason when it aborts first, consuming nothing. */
  async take(length: number, signal: AbortSignal): Promise<Buffer> {
    for (;;) {
      signal.throwIfAborted()
      const packet = this.#packets.shift()
      if (packet) return packet.subarray(0, length)
      await waitForWake(signal, (wake) => {
        this.#waiting = wake
      })
      this.#waiting = null
    }
  }
}

/** Waits until the function handed to `register` is called, or `signal` aborts (then it resolves, too). */
export async function waitForWake(signal: AbortSignal, register: (wake: () => void) => void): Promise<void> {
  await new Promise<void>((resolve) => {
    const wake = () => {
      signal.removeEventListener('abort', wake)
      resolve()
    }
    signal.addEventListener('abort', wake, { once: true })
    register(wake)
  })
}
