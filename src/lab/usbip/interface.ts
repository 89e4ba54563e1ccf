import type { SetupPacket, UsbSpeed } from '../devices/emulated.ts'
import type { DeviceFacts } from '../devices/facts.ts'

/** What serveDevice may be told besides the device and the stream. */
export interface ServeOptions {
  /** `busnum << 16 | devnum` of the handshake: a header with another one ends the connection. Default: any. */
  readonly devid?: number
  /** The largest transfer buffer a peer may ask for, in bytes; a larger one ends the connection. Default 1 MiB. */
  readonly maxTransfer?: number
}

/** How an export ended: the peer hung up, we closed it, or something broke (`error` says what). */
export interface ExportEnd {
  readonly reason: 'peer' | 'closed' | 'error'
  readonly error?: Error
}

/** A device that is being served on one stream. */
export interface Export {
  /** Settles when the stream is over and no transfer is under way any more; never rejects. */
  readonly done: Promise<ExportEnd>
  /** Destroys the stream, as writing -1 into usbip_sockfd does. The device stays and can be exported again. */
  close(): void
  /** Stops reading and answering (the stalled link of the lab's faults) until resume. */
  stall(): void
  resume(): void
}

export interface ImportOptions {
  /** From the handshake line `DEVID SPEED`. */
  readonly devid: number
  readonly speed: UsbSpeed
  /** Limits the enumeration (not the device's life): aborting closes the stream. */
  readonly signal?: AbortSignal
  readonly maxTransfer?: number
}

/** A limit for one transfer; aborting it unlinks the transfer at the peer. */
export interface TransferOptions {
  readonly signal?: AbortSignal
}

/** A device that the virtual host has enumerated over its stream. */
export interface ImportedDevice {
  /** What enumeration read over USB/IP, in the words of sysfs. */
  readonly facts: DeviceFacts
  /** Settles with the reason when the device is gone, whichever side ended it; never rejects. */
  readonly gone: Promise<Error | null>
  readonly isGone: boolean
  /**
   * Control transfer. For IN returns the bytes read; for OUT sends `data` and returns an empty buffer.
   * Every transfer rejects with UsbipError: `EPIPE` stall, `ENODEV` the device is gone, `ECONNRESET` aborted.
   */
  control(setup: SetupPacket, data?: Buffer, options?: TransferOptions): Promise<Buffer>
  /** Bulk or interrupt IN on an endpoint address (`0x81`), at most `length` bytes. */
  transferIn(endpoint: number, length: number, options?: TransferOptions): Promise<Buffer>
  /** Bulk or interrupt OUT on an endpoint address (`0x02`); returns the bytes taken. */
  transferOut(endpoint: number, data: Buffer, options?: TransferOptions): Promise<number>
  /** CLEAR_FEATURE(ENDPOINT_HALT). */
  clearHalt(endpoint: number, options?: TransferOptions): Promise<void>
  /** Closes the stream: pending transfers reject, `gone` settles with null. */
  close(): void
}
