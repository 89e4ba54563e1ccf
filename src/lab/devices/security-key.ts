import { BootKeyboard } from './boot-keyboard.ts'
import { ComposedDevice, type DeviceDesign } from './composed-device.ts'
import { CTAPHID, CtapHid } from './ctap-hid.ts'
import { type EmulatedDevice, UsbStall } from './emulated.ts'
import { type HidInterface, HidRequests, hidDescriptor } from './hid.ts'
import { PacketQueue } from './packet-queue.ts'

/** Usage page 0xF1D0, usage 1: 64 bytes in and out (CTAP 2.1, section 11.2.8.2). */
const FIDO_REPORT_DESCRIPTOR = Buffer.from(
  '06d0f10901a1010920150026ff007508954081020921150026ff00750895409102c0',
  'hex',
)

const KEYBOARD = { number: 0, input: 0x81 } as const
const FIDO = { number: 1, input: 0x84, output: 0x04 } as const

/**
 * A security key: interface 0 types one-time passwords as a boot keyboard (as real ones do, so that an HID
 * keyboard interface alone proves no keyboard), interface 1 speaks CTAPHID.
 */
export function createSecurityKey(identity: Omit<DeviceDesign, 'interfaces'>): EmulatedDevice {
  const keys = new BootKeyboard(KEYBOARD.number)
  const packets = new PacketQueue(256)
  const ctap = new CtapHid((packet) => packets.push(packet))
  const fido: HidInterface = {
    number: FIDO.number,
    reportDescriptor: FIDO_REPORT_DESCRIPTOR,
    getReport: () => null,
    setReport(type, data) {
      if (type !== 2 || data.length > CTAPHID.packetBytes) return false
      ctap.receive(data)
      return true
    },
  }
  const requests = new HidRequests([keys, fido])
  const design: DeviceDesign = {
    ...identity,
    interfaces: () => [
      {
        number: KEYBOARD.number,
        triple: '030101',
        extra: hidDescriptor(keys.reportDescriptor),
        endpoints: [interrupt(KEYBOARD.input, 8, 10)],
      },
      {
        number: FIDO.number,
        triple: '030000',
        extra: hidDescriptor(FIDO_REPORT_DESCRIPTOR),
        endpoints: [
          interrupt(FIDO.output, CTAPHID.packetBytes, 2),
          interrupt(FIDO.input, CTAPHID.packetBytes, 2),
        ],
      },
    ],
  }
  return new ComposedDevice(design, {
    request: (setup, data) => requests.request(setup, data),
    transferIn: (endpoint, length, signal) =>
      (endpoint === FIDO.input ? packets : keys.reports).take(length, signal),
    async transferOut(_endpoint, data) {
      if (data.length > CTAPHID.packetBytes) throw new UsbStall('more than a report')
      ctap.receive(data)
      return data.length
    },
    reset() {
      requests.reset()
      keys.reset()
      ctap.reset()
      packets.clear()
    },
  })
}

function interrupt(address: number, maxPacketSize: number, interval: number) {
  return { address, attributes: 3, maxPacketSize, interval }
}
