import type { UsbSpeed } from './emulated.ts'

/** One interface in its alternate setting 0, as its sysfs directory `PORT:CONFIG.NUMBER` shows it. */
export interface InterfaceFacts {
  readonly number: number
  readonly alternate: number
  /** Two lower-case hex digits each, as in `bInterfaceClass`, `bInterfaceSubClass`, `bInterfaceProtocol`. */
  readonly class: string
  readonly subclass: string
  readonly protocol: string
  /** The three above in one word, `080650`. */
  readonly triple: string
  readonly endpoints: number
  /** The Linux driver that binds to it (`usb-storage`, `usbhid`, `uvcvideo`, …); null when none does. */
  readonly driver: string | null
}

/** All that sysfs shows of a device, whether read from an emulated one or over USB/IP by a virtual host. */
export interface DeviceFacts {
  /** `idVendor`, `idProduct`, `bcdDevice`: four lower-case hex digits. */
  readonly vendorId: string
  readonly productId: string
  readonly bcdDevice: string
  /** bcdUSB as the sysfs file `version` has it: ` 2.00`, with the leading blank. */
  readonly version: string
  /** `bDeviceClass`, `bDeviceSubClass`, `bDeviceProtocol`: two hex digits each. */
  readonly deviceClass: string
  readonly deviceSubclass: string
  readonly deviceProtocol: string
  readonly maxPacketSize0: number
  readonly speed: UsbSpeed
  /** Absent strings are null: sysfs then has no such file. Text is as hostile as the device. */
  readonly manufacturer: string | null
  readonly product: string | null
  readonly serial: string | null
  readonly configurations: number
  readonly configurationValue: number
  /** `bmAttributes`, two hex digits. */
  readonly attributes: string
  /** `bMaxPower` as in sysfs: `500mA`. */
  readonly maxPower: string
  readonly interfaces: readonly InterfaceFacts[]
  /** The bytes of the sysfs file `descriptors`. */
  readonly descriptors: Buffer
}
