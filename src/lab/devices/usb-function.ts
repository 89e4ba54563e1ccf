import type { SetupPacket } from './emulated.ts'

/** What a device does beside the standard requests: its class requests and its endpoints. */
export interface UsbFunction {
  /**
   * A request to the class, the vendor or an interface. For IN returns what is sent (the caller cuts it to
   * the length asked for), for OUT an empty buffer; null stalls.
   */
  request(setup: SetupPacket, data: Buffer): Buffer | null
  /** An IN transfer on `endpoint` (address with the direction bit); waits until there is data or `signal` aborts. */
  transferIn?(endpoint: number, length: number, signal: AbortSignal): Promise<Buffer>
  transferOut?(endpoint: number, data: Buffer, signal: AbortSignal): Promise<number>
  /** The configuration was set, or the bus reset: begin anew. */
  reset(): void
  close?(): Promise<void>
}
