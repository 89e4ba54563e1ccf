import type { Device } from '../../../src/lib/model/device.ts'
import type { Candidate } from '../../../src/lib/rules/decide.ts'
import { parseRules } from '../../../src/lib/rules/parse.ts'
import type { Rule } from '../../../src/lib/rules/rule.ts'

/** A security key in sys-usb at 2-1, with changes. */
export function makeCandidate(
  changes: Partial<Record<keyof Device, unknown>> = {},
  more: Partial<Omit<Candidate, 'device'>> = {},
): Candidate {
  const device = {
    backend: 'sys-usb',
    port: '2-1',
    toldBy: 'backend',
    busnum: 2,
    devnum: 5,
    vendorId: '1050',
    productId: '0407',
    serial: '0012345',
    serialUnsafe: false,
    manufacturer: 'Yubico',
    product: 'YubiKey',
    interfaces: ['030101', '0b0000'],
    speed: 12,
    state: 'free',
    attachedTo: null,
    driver: 'usb',
    interfaceDrivers: ['usbhid'],
    hub: false,
    hidden: false,
    controller: '0000:00:14.0',
    inputForDom0: false,
    usage: [],
    ...changes,
  } as Device
  return { device, description: 'Yubico YubiKey', publishedSerial: null, aliases: [], ...more }
}

/** Rules of a text that must be sound. */
export function rulesOf(text: string, file = '/etc/qusb/rules.d/50-qusb.rules'): Rule[] {
  const { rules, problems } = parseRules(text, file)
  if (problems.length > 0) throw new Error(JSON.stringify(problems))
  return rules
}
