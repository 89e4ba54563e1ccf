import { ComposedDevice, type DeviceDesign } from './composed-device.ts'
import type { InterfaceDesign } from './descriptors.ts'
import type { EmulatedDevice } from './emulated.ts'
import { DESCRIPTOR } from './setup.ts'

/**
 * A camera that enumerates and stalls whatever is asked of it beyond. Its descriptors are whole (USB Video
 * Class 1.0, section 3), so that uvcvideo binds to it.
 */
export function createWebcam(identity: Omit<DeviceDesign, 'interfaces'>): EmulatedDevice {
  return new ComposedDevice(
    { ...identity, interfaces: cameraInterfaces },
    { request: () => null, reset: () => {} },
  )
}

function cameraInterfaces(): readonly InterfaceDesign[] {
  // Interfaces 0 and 1 are one function: video, interface collection.
  const association = Buffer.from([8, DESCRIPTOR.interfaceAssociation, 0, 2, 0x0e, 0x03, 0x00, 0])
  return [
    { number: 0, triple: '0e0100', association, extra: controlDescriptors(), endpoints: [] },
    { number: 1, triple: '0e0200', extra: streamingDescriptors(), endpoints: [] },
    {
      number: 1,
      alternate: 1,
      triple: '0e0200',
      endpoints: [{ address: 0x81, attributes: 5, maxPacketSize: 512, interval: 1 }],
    },
  ]
}

/** Header of UVC 1.0, a camera terminal 1 and, fed by it, a streaming output terminal 2. */
function controlDescriptors(): Buffer {
  const camera = classInterface(0x02, '01 0102 00 00 0000 0000 0000 02 0000')
  const output = classInterface(0x03, '02 0101 00 01 00')
  const total = 13 + camera.length + output.length
  const header = classInterface(0x01, `0001 ${littleEndian(total)} 80c3c901 01 01`)
  return Buffer.concat([header, camera, output])
}

/** One MJPEG format with one frame size, 640 x 480 at 30 frames a second. */
function streamingDescriptors(): Buffer {
  const format = classInterface(0x06, '01 01 01 01 00 00 00 00')
  const frame = classInterface(0x07, '01 00 8002 e001 00007701 00009600 00600900 15160500 01 15160500')
  const total = 14 + format.length + frame.length
  const header = classInterface(0x01, `01 ${littleEndian(total)} 81 00 02 00 00 00 01 00`)
  return Buffer.concat([header, format, frame])
}

/** A class-specific interface descriptor: its length, type and subtype, then the hex digits of the rest. */
function classInterface(subtype: number, rest: string): Buffer {
  const bytes = Buffer.from(rest.replaceAll(' ', ''), 'hex')
  return Buffer.concat([Buffer.from([bytes.length + 3, DESCRIPTOR.classInterface, subtype]), bytes])
}

function littleEndian(value: number): string {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes.toString('hex')
}
