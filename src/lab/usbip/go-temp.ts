import { REQUEST_TYPE } from '../devices/setup.ts'
import { GO_TEMP } from '../devices/thermometer.ts'
import { UsbipError } from './errno.ts'
import type { ImportedDevice, TransferOptions } from './interface.ts'

const SET_REPORT = 9
const OUTPUT_REPORT = 0x0200
/** Packets that may come before the first measurement: responses, and what an earlier reader left. */
const MAX_OTHER_PACKETS = 80

/** One temperature in degrees Celsius from a Go!Temp. Throws UsbipError; `ENODEV` when it is none. */
export async function readTemperature(device: ImportedDevice, options?: TransferOptions): Promise<number> {
  if (device.facts.vendorId !== '08f7' || device.facts.productId !== '0002') {
    throw new UsbipError('ENODEV', 'not a Go!Temp')
  }
  await sendCommand(device, GO_TEMP.init, options)
  await sendCommand(device, GO_TEMP.start, options)
  try {
    for (let i = 0; i < MAX_OTHER_PACKETS; i++) {
      const packet = await device.transferIn(0x81, GO_TEMP.packetBytes, options)
      const count = packet[0] ?? 0
      if (packet.length === GO_TEMP.packetBytes && count >= 1 && count <= 3) {
        return packet.readInt16LE(2) * GO_TEMP.degreesAStep
      }
    }
    throw new UsbipError('EPROTO', 'the thermometer sends no measurement')
  } finally {
    if (!device.isGone && !options?.signal?.aborted) await sendCommand(device, GO_TEMP.stop, options)
  }
}

async function sendCommand(device: ImportedDevice, command: number, options?: TransferOptions) {
  const bytes = Buffer.alloc(GO_TEMP.packetBytes)
  bytes.writeUInt8(command, 0)
  const requestType = REQUEST_TYPE.classInterface
  const setup = { requestType, request: SET_REPORT, value: OUTPUT_REPORT, index: 0, length: bytes.length }
  await device.control(setup, bytes, options)
}
