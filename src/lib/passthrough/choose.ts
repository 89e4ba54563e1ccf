import { QusbError } from '../errors.ts'
import { type Alias, type AliasName, aliasesOf, type NamedDevice } from '../model/alias.ts'
import { findAlike } from '../model/alike.ts'
import type { Device } from '../model/device.ts'
import { deviceClass } from '../model/device-class.ts'
import { formatVidPid } from '../model/identity.ts'
import { parseSelector, type Selector, selects } from '../model/selector.ts'
import type { QubeSurvey } from '../qubes/survey.ts'
import { aliasesIfAny, type Naming } from './naming.ts'

/** What a device is in a few words, by its own claim. */
export function describeDevice(device: Device): string {
  const claim = [device.manufacturer, device.product].filter((part) => part !== null && part !== '').join(' ')
  return claim === '' ? (deviceClass(device) ?? 'unknown device') : claim
}

/**
 * The one device that the selector names.
 * @param surveys the backends it may be in: one, where the user said which
 * @throws QusbError NOT_FOUND, or AMBIGUOUS with every candidate's own selector; STORE when it is an alias and their
 *   file cannot be used
 */
export function chooseDevice(surveys: readonly QubeSurvey[], selector: Selector, naming: Naming): Device {
  const found = findSelected(surveys, selector, naming)
  const [only, second] = found
  if (only !== undefined && second === undefined) return only
  const where = surveys.map((survey) => survey.qube).join(', ')
  if (only === undefined) throw notFound(surveys, selector, where, naming)
  throw new QusbError('AMBIGUOUS', `"${selector.text}" names ${found.length} devices of ${where}`, {
    hint: 'Name one of them by the selector in front of it.',
    candidates: listCandidates(found, surveys, naming),
  })
}

/** Devices that are meant one at a time, each with the shortest selector that names it alone, and what it is. */
function listCandidates(
  devices: readonly Device[],
  surveys: readonly QubeSurvey[],
  naming: Naming,
): { selector: string; description: string }[] {
  return devices.map((device) => {
    const aliases = aliasesIfAny(naming, device)
    const also = aliases.length === 0 ? '' : `, alias ${aliases.join(', ')}`
    const holder = device.attachedTo === null ? '' : ` (attached to ${device.attachedTo})`
    const selector = shortestSelector(device, surveys, naming)
    const place = `${device.backend}:${device.port}`
    const at = selector === place ? '' : ` at ${place}`
    return { selector, description: `${formatVidPid(device)} ${describeDevice(device)}${at}${also}${holder}` }
  })
}

/** All that the selector names. */
function findSelected(surveys: readonly QubeSurvey[], selector: Selector, naming: Naming): Device[] {
  const devices = surveys.flatMap((survey) => survey.devices)
  const nameOf = selector.kind === 'name' ? naming.namesOf(devices) : undefined
  return surveys.flatMap((survey) =>
    survey.devices.filter((device) => {
      if (!isCandidate(selector, device)) return false
      const aliases = selector.kind === 'alias' ? aliasesOf(device, naming.aliases()) : []
      const named = nameOf === undefined ? device : { ...device, description: nameOf(device) }
      // The serial that udev publishes may be another than the device's own: either counts
      // (docs/facts.md#published-serials).
      const published = survey.publishedSerials.find((entry) => entry.port === device.port)?.serial
      return (
        selects(selector, named, aliases) ||
        (published !== undefined && selects(selector, { ...named, serial: published }, aliases))
      )
    }),
  )
}

/**
 * By what it is, only what the backend publishes is found. By its place, or by the name that the user gave it, also hubs
 * and hidden ones: a guard tells.
 */
function isCandidate(selector: Selector, device: Device): boolean {
  switch (selector.kind) {
    case 'identity':
    case 'name':
      return !device.hub && !device.hidden
    case 'class':
      return (!device.hub && !device.hidden) || selector.word === 'hub'
    default:
      return true
  }
}

/** What no shell changes: a serial is the device's own claim, and is pasted into dom0's. */
const PASTEABLE = /^[A-Za-z0-9._:+,@%=/-]+$/

/** The shortest text that names this device alone; of two as short, the one that follows it to another port. */
function shortestSelector(device: Device, surveys: readonly QubeSurvey[], naming: Naming): string {
  const vidPid = formatVidPid(device)
  const place = `${device.backend}:${device.port}`
  const ways = [...aliasesIfAny(naming, device), vidPid, place]
  if (device.serial !== null && PASTEABLE.test(device.serial)) ways.push(`${vidPid}@${device.serial}`)
  const namesAlone = (text: string): boolean => {
    const parsed = parseSelector(text)
    if ('problem' in parsed) return false
    const where = surveys.filter(({ qube }) => parsed.backend === undefined || parsed.backend === qube)
    const [only, ...others] = findSelected(where, parsed.selector, naming)
    return only === device && others.length === 0
  }
  return ways.sort((a, b) => a.length - b.length).find(namesAlone) ?? place
}

function notFound(
  surveys: readonly QubeSurvey[],
  selector: Selector,
  where: string,
  naming: Naming,
): QusbError {
  const hint = `See what is there: qusb list ${surveys.map((survey) => survey.qube).join(' ')}`
  if (selector.kind === 'full') {
    const inPlace = surveys
      .flatMap((survey) => survey.devices)
      .find((device) => device.port === selector.port)
    if (inPlace !== undefined) {
      return new QusbError(
        'NOT_FOUND',
        `${where} has another device at ${selector.port} than "${selector.text}": ${formatVidPid(inPlace)} ${describeDevice(inPlace)}`,
        { hint },
      )
    }
  }
  if (selector.kind === 'identity' && selector.serial !== null) {
    const others = surveys
      .flatMap((survey) => survey.devices)
      .filter((device) => device.vendorId === selector.vendorId && device.productId === selector.productId)
    if (others.length > 0) {
      return new QusbError(
        'NOT_FOUND',
        `${where} has ${formatVidPid(selector)}, but not with the serial "${selector.serial}"`,
        { hint },
      )
    }
  }
  if (selector.kind === 'alias') return aliasNotFound(selector.alias, where, naming)
  return new QusbError('NOT_FOUND', `${where} has no device "${selector.text}"`, { hint })
}

/** Who has it is not plugged in, or nobody has the name. */
function aliasNotFound(name: AliasName, where: string, naming: Naming): QusbError {
  const devices = requireAlias(name, naming).devices.map(namedDeviceWords).join(', or ')
  return new QusbError('NOT_FOUND', `${where} has no device "${name}": that is ${devices}`, {
    hint: 'See what is there: qusb list',
  })
}

/** @throws QusbError NOT_FOUND for a name that nobody has; STORE */
export function requireAlias(name: AliasName, naming: Naming): Alias {
  const aliases = naming.aliases()
  const known = aliases.find((alias) => alias.name === name)
  if (known !== undefined) return known
  const like = findAlike(
    name,
    aliases.map((alias) => alias.name),
  )
  throw new QusbError('NOT_FOUND', `there is no alias "${name}", and it is no other form of a selector`, {
    hint: like === undefined ? 'See the aliases: qusb alias list' : `Did you mean ${like}?`,
  })
}

/** `1050:0407@0012345678`, or `046d:0825 at sys-usb, controller 0000:00:14.0, usb2 port 1.4`. */
export function namedDeviceWords({ vendorId, productId, serial, pin }: NamedDevice): string {
  const identity = `${vendorId}:${productId}${serial === null ? '' : `@${serial}`}`
  if (pin === null) return identity
  const controller = pin.controller === null ? '' : `, controller ${pin.controller}`
  return `${identity} at ${pin.backend}${controller}, ${pin.bus} port ${pin.path}`
}
