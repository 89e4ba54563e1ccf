import { ComposedDevice, type DeviceDesign } from './composed-device.ts'
import type { EmulatedDevice } from './emulated.ts'
import { PacketQueue } from './packet-queue.ts'

const PACKET_BYTES = 64
/** Clear to send, data set ready, carrier; transmitter empty. Two bytes of it open each packet (FT232). */
const MODEM_STATUS = Buffer.from([0xb1, 0x60])
const VENDOR_IN = 0xc0
const VENDOR_OUT = 0x40
const FTDI = { modemStatus: 0x05, latencyTimer: 0x0a, readEeprom: 0x90, defaultLatency: 16 } as const

/** A serial adapter of FTDI's kind whose two wires are joined: what is sent comes back. */
export function createSerialAdapter(identity: Omit<DeviceDesign, 'interfaces'>): EmulatedDevice {
  const packets = new PacketQueue(4096)
  return new ComposedDevice(
    {
      ...identity,
      interfaces: () => [
        {
          number: 0,
          triple: 'ffffff',
          stringIndex: 0,
          endpoints: [
            { address: 0x81, attributes: 2, maxPacketSize: PACKET_BYTES, interval: 0 },
            { address: 0x02, attributes: 2, maxPacketSize: PACKET_BYTES, interval: 0 },
          ],
        },
      ],
    },
    {
      request({ requestType, request }) {
        // Baud rate, line and flow control: nothing hangs on them between two joined wires.
        if (requestType === VENDOR_OUT) return Buffer.alloc(0)
        if (requestType !== VENDOR_IN) return null
        if (request === FTDI.modemStatus) return MODEM_STATUS
        if (request === FTDI.latencyTimer) return Buffer.from([FTDI.defaultLatency])
        return request === FTDI.readEeprom ? Buffer.from([0xff, 0xff]) : null
      },
      transferIn: (_endpoint, length, signal) => packets.take(length, signal),
      async transferOut(_endpoint, data) {
        const room = PACKET_BYTES - MODEM_STATUS.length
        for (let at = 0; at < data.length; at += room) {
          packets.push(Buffer.concat([MODEM_STATUS, data.subarray(at, at + room)]))
        }
        return data.length
      },
      reset: () => packets.clear(),
    },
  )
}
