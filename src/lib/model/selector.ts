import { type AliasName, parseAliasName } from './alias.ts'
import { CLASS_WORDS, type Classifiable, type ClassWord, isOfClass, parseClassWord } from './device-class.ts'
import { matchesGlob } from './glob.ts'
import { isIdentified, SERIAL_LIMIT } from './identity.ts'
import { parseQubeName, type QubeName } from './names.ts'
import { type Port, parsePort } from './port.ts'

/** How a user names a device: the first form that a text fits is the one that is meant. */
export type Selector =
  | { kind: 'identity'; vendorId: string; productId: string; serial: string | null; text: string }
  | { kind: 'bus-address'; busnum: number; devnum: number; text: string }
  | { kind: 'port'; port: Port; text: string }
  | {
      kind: 'full'
      port: Port
      vendorId: string
      productId: string
      serial: string | null
      interfaces: string[]
      text: string
    }
  | { kind: 'name'; glob: string; text: string }
  | { kind: 'class'; word: ClassWord; text: string }
  | { kind: 'alias'; alias: AliasName; text: string }

/** A selector, with the backend where the text itself says it. */
export interface PlacedSelector {
  backend: QubeName | undefined
  selector: Selector
}

/** Why a text is no selector, and what to write instead. */
export interface SelectorProblem {
  problem: string
  hint: string
}

const FORMS =
  'A device is named by its port (2-1), VENDOR:PRODUCT (1050:0407), VENDOR:PRODUCT@SERIAL, 0xVVVV.0xPPPP, BUS.DEVICE (3.10), name:GLOB, class:WORD or an alias.'

/** The longest pattern of a name: a shown name has at most about 400 characters. */
const GLOB_LIMIT = 200

/** The longest text looked at: a full identity with the longest serial and 64 interfaces fits. */
const LENGTH_LIMIT = 700

/**
 * Parses a selector, with or without its backend in front.
 * @param text what the user typed; any text
 */
export function parseSelector(text: string): PlacedSelector | SelectorProblem {
  if (text.length > LENGTH_LIMIT) return { problem: 'the device selector is too long', hint: FORMS }
  const bare = parseBareSelector(text)
  if (bare !== undefined) return 'problem' in bare ? bare : { backend: undefined, selector: bare }

  const colon = text.indexOf(':')
  const backend = colon > 0 ? parseQubeName(text.slice(0, colon)) : undefined
  const rest = text.slice(colon + 1)
  const inBackend = backend === undefined ? undefined : (parseFullIdentity(rest) ?? parseBareSelector(rest))
  if (inBackend !== undefined && 'problem' in inBackend) return inBackend
  // A qube may be called `name` or `class`: a place in it is one, anything else is a name or class.
  const described =
    inBackend?.kind === 'port' || inBackend?.kind === 'full' ? undefined : parseDescription(text)
  if (described !== undefined) {
    return 'problem' in described ? described : { backend: undefined, selector: described }
  }
  if (inBackend !== undefined) return { backend, selector: inBackend }

  const alias = parseAliasName(text)
  if (alias !== undefined) return { backend: undefined, selector: { kind: 'alias', alias, text } }
  return { problem: `"${text}" does not name a device`, hint: FORMS }
}

/**
 * Whether the text can only be a device: it says its backend itself, or is of a form that no qube's name has. This
 * decides how two words are read. An alias looks like a qube's name, so who knows the aliases must decide on it.
 */
export function standsAlone(text: string): boolean {
  const parsed = parseSelector(text)
  if ('problem' in parsed) return false
  return parsed.backend !== undefined || ['identity', 'name', 'class'].includes(parsed.selector.kind)
}

function parseBareSelector(text: string): Selector | SelectorProblem | undefined {
  const identity = /^([0-9a-fA-F]{4}):([0-9a-fA-F]{4})(?:@(.*))?$/s.exec(text)
  if (identity !== null) {
    const serial = identity[3] ?? null
    if (serial === '' || (serial !== null && serial.length > SERIAL_LIMIT)) {
      return {
        problem: `the serial in "${text}" is ${serial === '' ? 'empty' : 'too long'}`,
        hint: 'Leave out "@" to take any serial.',
      }
    }
    return { kind: 'identity', ...vidPid(identity), serial, text }
  }

  const proxyForm = /^0x([0-9a-fA-F]{4})\.0x([0-9a-fA-F]{4})$/.exec(text)
  if (proxyForm !== null) return { kind: 'identity', ...vidPid(proxyForm), serial: null, text }

  const address = /^(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})$/.exec(text)
  if (address !== null) {
    return { kind: 'bus-address', busnum: Number(address[1]), devnum: Number(address[2]), text }
  }

  if (/^[0-9]/.test(text) && text.includes('-')) {
    const port = parsePort(text)
    if (port !== undefined) return { kind: 'port', port, text }
    const device = /^([0-9.-]+):[0-9.]+$/.exec(text)?.[1]
    if (device !== undefined && parsePort(device) !== undefined) {
      return {
        problem: `"${text}" is an interface of a device, not a device`,
        hint: `Write ${device} instead.`,
      }
    }
    return undefined
  }
  return undefined
}

/** qvm-usb's form after the backend: PORT:VID:PID:SERIAL:IFACES. The serial may hold colons. */
function parseFullIdentity(text: string): Selector | undefined {
  const match = /^([0-9.-]+):([0-9a-fA-F]{4}):([0-9a-fA-F]{4}):(.*):((?:u[0-9a-f]{6})+)$/s.exec(text)
  const port = match === null ? undefined : parsePort(match[1] ?? '')
  if (match === null || port === undefined) return undefined
  return {
    kind: 'full',
    port,
    vendorId: (match[2] ?? '').toLowerCase(),
    productId: (match[3] ?? '').toLowerCase(),
    serial: match[4] === '' ? null : (match[4] ?? null),
    interfaces: (match[5] ?? '').split('u').slice(1),
    text,
  }
}

/** What it is called, or can do. */
function parseDescription(text: string): Selector | SelectorProblem | undefined {
  if (text.startsWith('name:')) {
    const glob = text.slice('name:'.length)
    if (glob !== '' && glob.length <= GLOB_LIMIT) return { kind: 'name', glob, text }
    return {
      problem: `the name in "${text}" is ${glob === '' ? 'empty' : 'too long'}`,
      hint: 'Write a part of what a list shows, with * for the rest: name:*yubikey*.',
    }
  }
  if (text.startsWith('class:')) {
    const given = text.slice('class:'.length)
    const word = parseClassWord(given)
    if (word !== undefined) return { kind: 'class', word, text }
    return {
      problem: `there is no class "${given}" of devices`,
      hint: `It is one of ${CLASS_WORDS.join(', ')}.`,
    }
  }
  return undefined
}

function vidPid(match: RegExpExecArray): { vendorId: string; productId: string } {
  return { vendorId: (match[1] ?? '').toLowerCase(), productId: (match[2] ?? '').toLowerCase() }
}

/** What a selector is matched against. */
export interface Selectable extends Classifiable {
  port: Port
  busnum: number
  /** null: not known. */
  devnum: number | null
  serial: string | null
  manufacturer: string | null
  product: string | null
  /** As a list shows it; without it, the device's own claim alone is its name. */
  description?: string
}

/**
 * Whether the selector names this device. A full identity must fit in every part: it is checked, not believed.
 * @param aliases the aliases that this device has (`aliasesOf`)
 */
export function selects(selector: Selector, device: Selectable, aliases: readonly string[] = []): boolean {
  switch (selector.kind) {
    case 'port':
      return device.port === selector.port
    case 'bus-address':
      return device.busnum === selector.busnum && device.devnum === selector.devnum
    case 'identity':
      return (
        isIdentified(device) &&
        device.vendorId === selector.vendorId &&
        device.productId === selector.productId &&
        (selector.serial === null || device.serial === selector.serial)
      )
    case 'full':
      return (
        device.port === selector.port &&
        device.vendorId === selector.vendorId &&
        device.productId === selector.productId &&
        device.serial === selector.serial &&
        device.interfaces.join() === selector.interfaces.join()
      )
    case 'name': {
      const claim = [device.manufacturer, device.product]
        .filter((part) => part !== null && part !== '')
        .join(' ')
      return [device.description ?? '', claim].some((name) => name !== '' && matchesGlob(selector.glob, name))
    }
    case 'class':
      return isOfClass(device, selector.word)
    case 'alias':
      return aliases.includes(selector.alias)
  }
}
