import type { Device } from '../model/device.ts'
import type { Site } from '../site/site.ts'
import { lookUpUsbIds } from '../site/usb-ids.ts'
import { describeDevice } from './choose.ts'

/**
 * Names devices for people: by usb.ids, which the backend cannot write, where the site has one that knows the product;
 * else by the device's own claim.
 */
export function nameDevices(site: Site, devices: readonly Device[]): (device: Device) => string {
  const names = lookUpUsbIds(site.usbIds, devices)
  return (device) => {
    const known = names.get(`${device.vendorId}:${device.productId}`)
    const claim = describeDevice(device)
    if (known?.product != null) return [known.vendor, known.product].filter((part) => part !== null).join(' ')
    return device.manufacturer === null && device.product !== null && known?.vendor != null
      ? `${known.vendor} ${claim}`
      : claim
  }
}
