import type { Device } from '../model/device.ts'
import { formatVidPid } from '../model/identity.ts'
import { type Selector, selects } from '../model/selector.ts'
import type { Candidate } from './decide.ts'

/** Why a selector does not name a device, in words without a full stop; undefined where it does. */
export function whyNotSelected(
  selector: Selector,
  { device, publishedSerial }: Candidate,
): string | undefined {
  if (selects(selector, device)) return undefined
  if (publishedSerial !== null && selects(selector, { ...device, serial: publishedSerial })) return undefined
  const { text } = selector
  switch (selector.kind) {
    case 'port':
      return `it is at ${device.port}, not at ${selector.port}`
    case 'full':
      return device.port === selector.port
        ? whyOtherIdentity(selector, device)
        : `it is at ${device.port}, not at ${selector.port}`
    case 'identity':
      return whyOtherIdentity(selector, device)
    case 'bus-address':
      return `it is at bus address ${device.busnum}.${device.devnum}, not at ${text}`
    default:
      return `"${text}" does not name it`
  }
}

function whyOtherIdentity(
  wanted: { vendorId: string; productId: string; serial: string | null },
  device: Device,
): string {
  if (formatVidPid(wanted) !== formatVidPid(device)) {
    return `it is ${formatVidPid(device)}, not ${formatVidPid(wanted)}`
  }
  if (wanted.serial === device.serial) return 'its interfaces are others'
  const serial = wanted.serial === null ? 'none' : `"${wanted.serial}"`
  if (device.serial !== null) return `its serial is "${device.serial}", not ${serial}`
  return `it has no serial${device.serialUnsafe ? ' that can be told apart safely' : ''}, and the rule wants ${serial}`
}
