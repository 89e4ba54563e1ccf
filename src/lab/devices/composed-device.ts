import {
  bosDescriptor,
  configurationDescriptor,
  type DeviceNumbers,
  deviceDescriptor,
  type InterfaceDesign,
  languageDescriptor,
  qualifierDescriptor,
  stringDescriptor,
} from './descriptors.ts'
import { type EmulatedDevice, type SetupPacket, type UsbSpeed, UsbStall } from './emulated.ts'
import { DESCRIPTOR, REQUEST, REQUEST_TYPE } from './setup.ts'
import type { UsbFunction } from './usb-function.ts'

/** What a device is, from which ComposedDevice makes its descriptors. */
export interface DeviceDesign {
  readonly kind: string
  readonly speed: UsbSpeed
  readonly vendorId: number
  readonly productId: number
  readonly bcdDevice: number
  /** bDeviceClass, bDeviceSubClass, bDeviceProtocol: six hex digits; `000000` leaves it to the interfaces. */
  readonly deviceTriple: string
  /** Null is no such string. */
  readonly manufacturer: string | null
  readonly product: string | null
  readonly serial: string | null
  /** bmAttributes of the configuration: bit 7 is always set, bit 5 is remote wake-up. */
  readonly attributes: number
  readonly milliamps: number
  /** The interfaces as they are at a speed: a high-speed device is asked for its full-speed ones too. */
  interfaces(speed: UsbSpeed): readonly InterfaceDesign[]
}

const NOTHING = Buffer.alloc(0)
const SELF_POWERED = 0x40

/** A device of a design and a function: it answers the standard requests, its function the rest. */
export class ComposedDevice implements EmulatedDevice {
  readonly kind: string
  readonly speed: UsbSpeed
  readonly descriptors: Buffer
  readonly strings: readonly string[]
  readonly #design: DeviceDesign
  readonly #function: UsbFunction
  readonly #numbers: DeviceNumbers
  readonly #configuration: Buffer
  readonly #interfaces: readonly InterfaceDesign[]
  readonly #halted = new Set<number>()
  readonly #alternates = new Map<number, number>()
  #configured = 0
  #remoteWakeup = false
  #closed: Promise<void> | null = null

  constructor(design: DeviceDesign, usbFunction: UsbFunction) {
    this.#design = design
    this.#function = usbFunction
    this.kind = design.kind
    this.speed = design.speed
    const strings = ['']
    const index = (text: string | null) => (text === null ? 0 : strings.push(text) - 1)
    this.#numbers = {
      vendorId: design.vendorId,
      productId: design.productId,
      bcdDevice: design.bcdDevice,
      triple: design.deviceTriple,
      manufacturerIndex: index(design.manufacturer),
      productIndex: index(design.product),
      serialIndex: index(design.serial),
    }
    this.strings = strings
    this.#interfaces = design.interfaces(design.speed)
    this.#configuration = this.#configurationAt(design.speed)
    this.descriptors = Buffer.concat([deviceDescriptor(this.#numbers, design.speed), this.#configuration])
  }

  async control(setup: SetupPacket, data: Buffer, _signal: AbortSignal): Promise<Buffer> {
    const standard = (setup.requestType & 0x60) === 0
    const answer = (standard ? this.#standard(setup) : null) ?? this.#functionRequest(setup, data)
    return answer.subarray(0, setup.length)
  }

  async transferIn(endpoint: number, length: number, signal: AbortSignal): Promise<Buffer> {
    this.#demandEndpoint(endpoint)
    if (!this.#function.transferIn) throw new UsbStall('no IN endpoint')
    return this.#haltOnStall(endpoint, this.#function.transferIn(endpoint, length, signal))
  }

  async transferOut(endpoint: number, data: Buffer, signal: AbortSignal): Promise<number> {
    this.#demandEndpoint(endpoint)
    if (!this.#function.transferOut) throw new UsbStall('no OUT endpoint')
    return this.#haltOnStall(endpoint, this.#function.transferOut(endpoint, data, signal))
  }

  reset(): void {
    this.#configured = 0
    this.#remoteWakeup = false
    this.#begin()
  }

  close(): Promise<void> {
    this.#closed ??= this.#function.close?.() ?? Promise.resolve()
    return this.#closed
  }

  #begin(): void {
    this.#halted.clear()
    this.#alternates.clear()
    this.#function.reset()
  }

  #demandEndpoint(endpoint: number): void {
    if (this.#configured === 0) throw new UsbStall('not configured')
    if (!this.#hasEndpoint(endpoint)) throw new UsbStall(`no endpoint ${endpoint}`)
    if (this.#halted.has(endpoint)) throw new UsbStall(`endpoint ${endpoint} is halted`)
  }

  #hasEndpoint(endpoint: number): boolean {
    return this.#interfaces.some((design) => design.endpoints.some(({ address }) => address === endpoint))
  }

  async #haltOnStall<T>(endpoint: number, transfer: Promise<T>): Promise<T> {
    try {
      return await transfer
    } catch (error) {
      if (error instanceof UsbStall) this.#halted.add(endpoint)
      throw error
    }
  }

  #functionRequest(setup: SetupPacket, data: Buffer): Buffer {
    const answer = this.#function.request(setup, data)
    if (!answer) throw new UsbStall(`request ${setup.requestType}/${setup.request}`)
    return answer
  }

  /** Null when the request is not one of the standard ones that every device answers. */
  #standard({ requestType, request, value, index, length }: SetupPacket): Buffer | null {
    const { in: toHost, standardDevice, standardInterface, standardEndpoint } = REQUEST_TYPE
    switch ((requestType << 8) | request) {
      case ((toHost | standardDevice) << 8) | REQUEST.getDescriptor:
        return this.#descriptor(value >> 8, value & 0xff)
      case ((toHost | standardDevice) << 8) | REQUEST.getConfiguration:
        return Buffer.from([this.#configured])
      case (standardDevice << 8) | REQUEST.setConfiguration:
        return this.#setConfiguration(value & 0xff)
      case (standardDevice << 8) | REQUEST.setAddress:
      case (standardDevice << 8) | REQUEST.setIsochDelay:
        return NOTHING
      case (standardDevice << 8) | REQUEST.setSel:
        return this.speed === 5000 && length === 6 ? NOTHING : null
      case ((toHost | standardDevice) << 8) | REQUEST.getStatus:
        return Buffer.from([(this.#selfPowered ? 1 : 0) | (this.#remoteWakeup ? 2 : 0), 0])
      case ((toHost | standardInterface) << 8) | REQUEST.getStatus:
        return this.#hasInterface(index) ? Buffer.from([0, 0]) : null
      case ((toHost | standardEndpoint) << 8) | REQUEST.getStatus:
        return this.#endpointStatus(index & 0xff)
      case (standardDevice << 8) | REQUEST.clearFeature:
      case (standardDevice << 8) | REQUEST.setFeature:
        return this.#deviceFeature(value, request === REQUEST.setFeature)
      case (standardInterface << 8) | REQUEST.setFeature:
      case (standardInterface << 8) | REQUEST.clearFeature:
        // FUNCTION_SUSPEND is the one feature of interfaces, and only SuperSpeed has it.
        return this.speed === 5000 && value === 0 ? NOTHING : null
      case (standardEndpoint << 8) | REQUEST.clearFeature:
      case (standardEndpoint << 8) | REQUEST.setFeature:
        return value === 0 ? this.#setHalt(index & 0xff, request === REQUEST.setFeature) : null
      case ((toHost | standardInterface) << 8) | REQUEST.getInterface:
        return this.#hasInterface(index) ? Buffer.from([this.#alternates.get(index) ?? 0]) : null
      case (standardInterface << 8) | REQUEST.setInterface:
        return this.#setInterface(index, value)
      default:
        return null
    }
  }

  get #selfPowered(): boolean {
    return (this.#design.attributes & SELF_POWERED) !== 0
  }

  #descriptor(type: number, index: number): Buffer | null {
    const high = this.speed === 480
    switch (type) {
      case DESCRIPTOR.device:
        return index === 0 ? this.descriptors.subarray(0, 18) : null
      case DESCRIPTOR.configuration:
        return index === 0 ? this.#configuration : null
      case DESCRIPTOR.string: {
        if (index === 0) return this.strings.length > 1 ? languageDescriptor() : null
        const text = this.strings[index]
        return text === undefined ? null : stringDescriptor(text)
      }
      case DESCRIPTOR.deviceQualifier:
        return high && index === 0 ? qualifierDescriptor(this.#numbers) : null
      case DESCRIPTOR.otherSpeed: {
        if (!high || index !== 0) return null
        const other = this.#configurationAt(12)
        other.writeUInt8(DESCRIPTOR.otherSpeed, 1)
        return other
      }
      case DESCRIPTOR.bos:
        return this.speed === 5000 ? bosDescriptor() : null
      default:
        return null
    }
  }

  #configurationAt(speed: UsbSpeed): Buffer {
    const { attributes, milliamps } = this.#design
    return configurationDescriptor(this.#design.interfaces(speed), speed, attributes, milliamps)
  }

  #setConfiguration(value: number): Buffer | null {
    if (value > 1) return null
    this.#configured = value
    this.#begin()
    return NOTHING
  }

  #hasInterface(number: number): boolean {
    return this.#configured !== 0 && this.#interfaces.some((design) => design.number === number)
  }

  #setInterface(number: number, alternate: number): Buffer | null {
    const design = this.#interfaces.find((d) => d.number === number && (d.alternate ?? 0) === alternate)
    if (!design || this.#configured === 0) return null
    this.#alternates.set(number, alternate)
    for (const { address } of design.endpoints) this.#halted.delete(address)
    return NOTHING
  }

  #endpointStatus(endpoint: number): Buffer | null {
    if ((endpoint & 0x0f) === 0) return Buffer.from([0, 0])
    return this.#hasEndpoint(endpoint) ? Buffer.from([this.#halted.has(endpoint) ? 1 : 0, 0]) : null
  }

  #setHalt(endpoint: number, halt: boolean): Buffer | null {
    if ((endpoint & 0x0f) === 0) return NOTHING
    if (!this.#hasEndpoint(endpoint)) return null
    if (halt) this.#halted.add(endpoint)
    else this.#halted.delete(endpoint)
    return NOTHING
  }

  /** 1 is remote wake-up; 48 to 50 are U1, U2 and LTM of SuperSpeed, which change nothing here. */
  #deviceFeature(feature: number, on: boolean): Buffer | null {
    if (feature === 1 && (this.#design.attributes & 0x20) !== 0) {
      this.#remoteWakeup = on
      return NOTHING
    }
    return this.speed === 5000 && feature >= 48 && feature <= 50 ? NOTHING : null
  }
}
