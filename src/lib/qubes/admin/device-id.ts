import { type Identity, isInterfaceCode, SERIAL_LIMIT } from '../../model/identity.ts'
import { cleanText } from '../../model/text.ts'

/** What qubesd says a device is. */
export interface ClaimedIdentity extends Identity {
  /** It has a serial that cannot be told apart safely: it counts as none. */
  serialUnsafe: boolean
}

/** A `?` stands for a class of device that nobody knows: what an unknown device has. */
const USB_ID = /^([0-9a-fA-F]{4}):([0-9a-fA-F]{4}):(.*):((?:[a-z?][0-9a-f*]{6})*)$/s
const LENGTH_LIMIT = 1024

/**
 * Reads a device id `VID:PID:SERIAL:INTERFACES`. The serial may hold `:`, so vendor and product are taken from the
 * left and the interfaces after the last `:` (docs/facts.md#device-identities).
 * @returns null for a device without identity (`0000:0000::?******`), undefined for what is no id
 */
export function parseDeviceId(text: string): ClaimedIdentity | null | undefined {
  const match = text.length > LENGTH_LIMIT ? null : USB_ID.exec(text)
  if (match === null) return undefined
  const [, vendorId = '', productId = '', serial = '', run = ''] = match
  if (vendorId === '0000' && productId === '0000') return null
  const codes = run.match(/.{7}/g) ?? []
  if (codes.length > 64) return undefined
  const interfaces = codes.map((code) => code.slice(1)).filter(isInterfaceCode)
  const unsafe = cleanText(serial, SERIAL_LIMIT).changed
  return {
    vendorId: vendorId.toLowerCase(),
    productId: productId.toLowerCase(),
    serial: serial === '' || unsafe ? null : serial,
    serialUnsafe: serial !== '' && unsafe,
    interfaces,
  }
}

/**
 * A device id as it stands in the argument of a call, where `:` is written `+` and `*` is written `_`.
 * @returns `_` (whatever is at the port) for one that would not come back as it was: with a `+`, a `_` or a character
 * that an argument cannot hold
 */
export function formatDeviceArg(deviceId: string): string {
  return /^[A-Za-z0-9.:-]{1,256}$/.test(deviceId) ? deviceId.replaceAll(':', '+') : '_'
}
