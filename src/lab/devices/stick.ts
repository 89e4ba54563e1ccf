import { BulkOnlyStorage } from './bulk-only.ts'
import { ComposedDevice, type DeviceDesign } from './composed-device.ts'
import { openDiskImage } from './disk-image.ts'
import type { EmulatedDevice, UsbSpeed } from './emulated.ts'

/** A mass-storage stick on an image file; closing the device closes the file. */
export async function createStick(
  identity: Omit<DeviceDesign, 'interfaces'>,
  imagePath: string,
): Promise<EmulatedDevice> {
  const image = await openDiskImage(imagePath)
  const storage = new BulkOnlyStorage(image, {
    vendor: identity.manufacturer ?? '',
    product: identity.product ?? '',
    serial: identity.serial ?? '',
  })
  const design: DeviceDesign = {
    ...identity,
    interfaces: (speed) => [
      {
        number: 0,
        triple: '080650',
        endpoints: [bulk(0x81, speed), bulk(0x02, speed)],
      },
    ],
  }
  return new ComposedDevice(design, storage)
}

/** The one packet size that each speed allows for bulk (USB 2.0, section 5.8.3). */
function bulk(address: number, speed: UsbSpeed) {
  const maxPacketSize = speed === 5000 ? 1024 : speed === 480 ? 512 : 64
  return { address, attributes: 2, maxPacketSize, interval: 0 }
}
