import type { LeftOut } from './results.ts'

/** What another program's file says, as far as a rule can say it. */
export interface ImportedDevices {
  /** Selectors, each with the words it was made of. */
  devices: { deviceText: string; from: string }[]
  leftOut: LeftOut[]
}

const SETTING = /^\s*client\.usb\.share_list\s*=(.*)$/gm
const ENTRY = /^([0-9a-fA-F]{4}):([0-9a-fA-F]{4})(?:@(.*))?$/s

/**
 * Reads QVD's share list, alone or as the setting `client.usb.share_list` of its client's file: `VVVV:PPPP[@SERIAL]`
 * separated by commas. Of its own two readers one trims and takes an entry without a serial for any serial, the other
 * does not and fails silently (docs/facts.md#share-lists-of-qvd): here the first is right.
 * @param text any text
 */
export function readShareList(text: string): ImportedDevices {
  const settings = [...text.matchAll(SETTING)].map(([, value]) => value ?? '')
  const list = settings.length > 0 ? settings.join(',') : text
  const devices: ImportedDevices['devices'] = []
  const leftOut: LeftOut[] = []
  for (const part of list.split(/[,\n]/)) {
    const entry = part.trim()
    if (entry === '') continue
    const [, vendorId, productId, serial] = ENTRY.exec(entry) ?? []
    if (vendorId === undefined || productId === undefined) {
      leftOut.push({ what: entry, why: 'it is not VENDOR:PRODUCT or VENDOR:PRODUCT@SERIAL' })
    } else if (serial !== undefined && serial.trim() === '') {
      leftOut.push({ what: entry, why: 'its serial is empty' })
    } else {
      const vidPid = `${vendorId}:${productId}`.toLowerCase()
      devices.push({ deviceText: serial === undefined ? vidPid : `${vidPid}@${serial.trim()}`, from: entry })
    }
  }
  return { devices, leftOut }
}
