import type { Device } from '../model/device.ts'
import { deviceClass } from '../model/device-class.ts'
import { formatVidPid } from '../model/identity.ts'
import { type Selector, selects } from '../model/selector.ts'
import type { Candidate } from './decide.ts'
import type { Action, RuleTerms } from './rule.ts'

/**
 * Why a selector does not name a device, in words without a full stop; undefined where it does.
 * @param action what the rule does with it: where that denies a class, a device that does not show its interfaces (yet)
 *   may be of it, and is taken to be
 */
export function whyNotSelected(selector: Selector, candidate: Candidate, action: Action): string | undefined {
  const { device, publishedSerial, aliases } = candidate
  const named = selector.kind === 'name' ? { ...device, description: candidate.description } : device
  if (selects(selector, named, aliases)) return undefined
  if (publishedSerial !== null && selects(selector, { ...named, serial: publishedSerial }, aliases)) {
    return undefined
  }
  if (mayBeDenied(selector, device, action)) return undefined
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
      if (device.devnum === null) return 'its bus address is not known'
      return `it is at bus address ${device.busnum}.${device.devnum}, not at ${selector.text}`
    case 'class':
      return device.interfaces.length === 0
        ? 'it shows no interface, so nobody can tell its class'
        : `it is ${deviceClass(device)}, not ${selector.word}`
    case 'name':
      return `its name is "${candidate.description}"`
    case 'alias':
      return aliases.length === 0 ? 'it has no alias' : `its alias is ${aliases.join(', ')}`
  }
}

/** Whether a rule is taken to be about a device only because nobody can tell that it is not. */
export function isGuess({ device: selector, action }: RuleTerms, { device }: Candidate): boolean {
  return selector !== null && !selects(selector, device) && mayBeDenied(selector, device, action)
}

function mayBeDenied(selector: Selector, device: Device, action: Action): boolean {
  return selector.kind === 'class' && device.interfaces.length === 0 && action === 'deny'
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
