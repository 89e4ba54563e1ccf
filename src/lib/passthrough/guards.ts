import { QusbError } from '../errors.ts'
import type { Device, Usage } from '../model/device.ts'
import { DOM0, type QubeName } from '../model/names.ts'
import type { QubeSurvey } from '../qubes/survey.ts'
import { describeDevice } from './choose.ts'
import type { Warning } from './results.ts'

/**
 * Refuses what no force allows.
 * @throws QusbError REFUSED
 */
export function guardFrontend(backend: QubeName, frontend: QubeName): void {
  if (frontend === DOM0) {
    throw new QusbError('REFUSED', 'a USB device is never attached to dom0', {
      hint: 'A device attached to dom0 could take over the whole system.',
    })
  }
  if (frontend === backend) {
    throw new QusbError('REFUSED', `${backend} has the device already: it is its own USB qube`, {
      hint: 'Name another qube.',
    })
  }
}

/** Reasons not to give a device away, which --force overrides. Pure: the plan shows them as well. */
export function guardsAgainst(device: Device): string[] {
  const reasons: string[] = []
  if (device.hub) reasons.push('it is a hub: name the device behind it')
  else if (device.hidden) reasons.push(`${device.backend} hides it on purpose`)
  if (device.inputForDom0) {
    reasons.push('dom0 is typing or pointing with it: you might lose the keyboard or mouse you are using')
  }
  if (device.inputForDom0 === null && mayType(device)) {
    reasons.push('dom0 may be typing or pointing with it: qubesd does not say')
  }
  for (const usage of device.usage ?? [])
    reasons.push(`it is in use in ${device.backend}: ${describeUsage(usage)}; data would be lost`)
  return reasons
}

export function describeUsage(usage: Usage): string {
  switch (usage.kind) {
    case 'mounted':
      return `${usage.block} is mounted${usage.what === null ? '' : ` at ${usage.what}`}`
    case 'swap':
      return `${usage.block} is swap`
    case 'holder':
      return `${usage.block} is held by ${usage.what ?? 'device-mapper'}`
    case 'given':
      return `${usage.block} is given to ${usage.what === null ? 'another qube' : usage.what} as a block device`
  }
}

/** @throws QusbError REFUSED when a guard stands and is not forced */
export function guardDevice(device: Device, force: boolean): void {
  const reasons = guardsAgainst(device)
  if (reasons.length === 0 || force) return
  throw new QusbError(
    'REFUSED',
    `${device.backend}:${device.port} (${describeDevice(device)}): ${reasons.join('; ')}`,
    {
      hint: 'If you are sure, say --force.',
    },
  )
}

/** What is worth knowing and no reason to refuse. */
export function attachWarnings(device: Device, survey: QubeSurvey): Warning[] {
  const warnings: Warning[] = []
  const say = (code: string, message: string, hint: string | null = null): void => {
    warnings.push({ qube: device.backend, code, message, hint })
  }
  if (device.usage === null && mayStore(device)) {
    say('USAGE', `whether ${device.backend} itself uses ${describeDevice(device)} is not known`)
  }
  if (device.interfaces.some((code) => code.startsWith('0301')) && device.inputForDom0 !== true) {
    say(
      'TYPES',
      `${describeDevice(device)} can type or point: whoever controls it controls what the qube is told`,
    )
  }
  if (survey.ctapProxy && isSecurityKey(device)) {
    say(
      'CTAP_PROXY',
      `${device.backend} serves security keys to other qubes: while it is attached here, they do without it`,
    )
  }
  return warnings
}

/** By its interfaces; one of which none is known may be anything. */
const mayType = ({ interfaces }: Device): boolean =>
  interfaces.length === 0 || interfaces.some((code) => code.startsWith('03'))
const mayStore = ({ interfaces }: Device): boolean =>
  interfaces.length === 0 || interfaces.some((code) => code.startsWith('08'))

/** A HID interface that is neither keyboard nor mouse by its protocol, or a smartcard: what a security key shows. */
export function isSecurityKey(device: Device): boolean {
  return device.interfaces.some((code) => code === '030000' || code.startsWith('0b'))
}
