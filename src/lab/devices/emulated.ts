/** The speeds that sysfs shows, in Mb/s: low, full, high and SuperSpeed. */
export type UsbSpeed = 1.5 | 12 | 480 | 5000

/** The eight bytes that open a control transfer (USB 2.0, section 9.3), as numbers. */
export interface SetupPacket {
  readonly requestType: number
  readonly request: number
  readonly value: number
  readonly index: number
  readonly length: number
}

/** Thrown by a device that refuses a transfer; the exporter answers -EPIPE, as a host controller does. */
export class UsbStall extends Error {
  constructor(what: string) {
    super(`stalled: ${what}`)
    this.name = 'UsbStall'
  }
}

/**
 * An emulated USB device: what a cable would carry, and nothing of USB/IP or sysfs.
 * One transfer an endpoint is under way at a time; the exporter queues the others.
 * A transfer that has nothing to say waits (a real keyboard answers NAK) until `signal` aborts; then it
 * rejects and must not have consumed anything.
 */
export interface EmulatedDevice {
  /** The name in DEVICE_KINDS that it was made from. */
  readonly kind: string
  readonly speed: UsbSpeed
  /** The device descriptor, then each configuration whole: the bytes of sysfs `descriptors`. */
  readonly descriptors: Buffer
  /** The strings by their index in the descriptors; index 0 is unused. They may be hostile on purpose. */
  readonly strings: readonly string[]
  /**
   * A control transfer on endpoint 0. `data` is what the host sent (empty for IN).
   * Returns what the device sends, never longer than `setup.length` (empty for OUT).
   * Throws UsbStall.
   */
  control(setup: SetupPacket, data: Buffer, signal: AbortSignal): Promise<Buffer>
  /** A bulk or interrupt IN transfer of at most `length` bytes; a shorter result is a short packet. */
  transferIn(endpoint: number, length: number, signal: AbortSignal): Promise<Buffer>
  /** A bulk or interrupt OUT transfer; returns the bytes taken. */
  transferOut(endpoint: number, data: Buffer, signal: AbortSignal): Promise<number>
  /** A bus reset: unconfigured, no endpoint halted, no command half done. */
  reset(): void
  /** Lets go of what it holds (an open image). Twice is once. */
  close(): Promise<void>
}
