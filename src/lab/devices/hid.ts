import type { SetupPacket } from './emulated.ts'
import { DESCRIPTOR, REQUEST, REQUEST_TYPE } from './setup.ts'

const HID_REQUEST = { getReport: 1, getIdle: 2, getProtocol: 3, setReport: 9, setIdle: 10, setProtocol: 11 }

/** One HID interface (HID 1.11): its report descriptor and what it does with reports. */
export interface HidInterface {
  readonly number: number
  readonly reportDescriptor: Buffer
  /** The current report of a type (1 input, 2 output, 3 feature); null stalls. */
  getReport(type: number): Buffer | null
  /** Takes a report that came by SET_REPORT; false stalls. */
  setReport(type: number, data: Buffer): boolean
}

/** The HID descriptor (HID 1.11, section 6.2.1) that stands behind the interface descriptor. */
export function hidDescriptor(reportDescriptor: Buffer): Buffer {
  const bytes = Buffer.from([9, DESCRIPTOR.hid, 0x11, 0x01, 0, 1, DESCRIPTOR.report, 0, 0])
  bytes.writeUInt16LE(reportDescriptor.length, 7)
  return bytes
}

/** Answers the requests of the HID class for a device's HID interfaces; null for any other request. */
export class HidRequests {
  readonly #interfaces: ReadonlyMap<number, HidInterface>
  readonly #idle = new Map<number, number>()
  readonly #protocol = new Map<number, number>()

  constructor(interfaces: readonly HidInterface[]) {
    this.#interfaces = new Map(interfaces.map((hid) => [hid.number, hid]))
  }

  reset(): void {
    this.#idle.clear()
    this.#protocol.clear()
  }

  request(setup: SetupPacket, data: Buffer): Buffer | null {
    const hid = this.#interfaces.get(setup.index)
    if (!hid) return null
    if (setup.requestType === (REQUEST_TYPE.in | REQUEST_TYPE.standardInterface)) {
      return setup.request === REQUEST.getDescriptor ? classDescriptor(hid, setup.value) : null
    }
    if (setup.requestType === (REQUEST_TYPE.in | REQUEST_TYPE.classInterface)) return this.#get(hid, setup)
    if (setup.requestType === REQUEST_TYPE.classInterface) return this.#set(hid, setup, data)
    return null
  }

  #get(hid: HidInterface, { request, value }: SetupPacket): Buffer | null {
    switch (request) {
      case HID_REQUEST.getReport:
        return hid.getReport(value >> 8)
      case HID_REQUEST.getIdle:
        return Buffer.from([this.#idle.get(hid.number) ?? 0])
      case HID_REQUEST.getProtocol:
        // After a reset a device speaks the report protocol.
        return Buffer.from([this.#protocol.get(hid.number) ?? 1])
      default:
        return null
    }
  }

  #set(hid: HidInterface, { request, value }: SetupPacket, data: Buffer): Buffer | null {
    switch (request) {
      case HID_REQUEST.setReport:
        return hid.setReport(value >> 8, data) ? Buffer.alloc(0) : null
      case HID_REQUEST.setIdle:
        this.#idle.set(hid.number, value >> 8)
        return Buffer.alloc(0)
      case HID_REQUEST.setProtocol:
        if (value > 1) return null
        this.#protocol.set(hid.number, value)
        return Buffer.alloc(0)
      default:
        return null
    }
  }
}

function classDescriptor(hid: HidInterface, value: number): Buffer | null {
  if (value === DESCRIPTOR.report << 8) return hid.reportDescriptor
  return value === DESCRIPTOR.hid << 8 ? hidDescriptor(hid.reportDescriptor) : null
}
