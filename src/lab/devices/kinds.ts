import type { UsbSpeed } from './emulated.ts'

/** The kinds of device that the lab can plug, each with its line for `qusb lab plug --help`. */
export const DEVICE_KINDS = {
  stick: 'a mass-storage stick on an image file (SuperSpeed, or 480 Mb/s on request)',
  keyboard: 'a HID boot keyboard',
  'security-key': 'a FIDO security key with a serial, which also types like every such key',
  thermometer: 'a Vernier Go!Temp that reports a temperature',
  webcam: 'a video camera without a serial that only enumerates',
  serial: 'a serial adapter that sends back what it gets',
} as const satisfies Record<string, string>

export type DeviceKind = keyof typeof DEVICE_KINDS

/** What createDevice is told; everything but the kind has a default that suits the kind. */
export interface DeviceOptions {
  readonly kind: DeviceKind
  /** `null` leaves the serial out; a string goes out as it is, hostile or not. */
  readonly serial?: string | null
  /** The image file of a stick: it exists, its size is a multiple of 512. Required for a stick. */
  readonly image?: string
  readonly speed?: UsbSpeed
  /** Four hex digits each. */
  readonly vendorId?: string
  readonly productId?: string
  readonly manufacturer?: string | null
  readonly product?: string | null
  /** Degrees Celsius that a thermometer shows; default 21.5. */
  readonly temperature?: number
}
