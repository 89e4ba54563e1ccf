import { SERIAL_LIMIT } from './identity.ts'
import { parseQubeName, type QubeName } from './names.ts'
import { type Port, parsePort } from './port.ts'

/** How a user names a device. DESIGN: "Selector grammar, first match". */
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
  'A device is named by its port (2-1), VENDOR:PRODUCT (1050:0407), VENDOR:PRODUCT@SERIAL, 0xVVVV.0xPPPP or BUS.DEVICE (3.10).'

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
  if (backend !== undefined) {
    const rest = text.slice(colon + 1)
    const placed = parseFullIdentity(rest) ?? parseBareSelector(rest)
    if (placed !== undefined) return 'problem' in placed ? placed : { backend, selector: placed }
  }
  return { problem: `"${text}" does not name a device`, hint: FORMS }
}

/** Whether the text says its backend itself, or is a VID:PID form: what decides how two words are read. */
export function standsAlone(text: string): boolean {
  const parsed = parseSelector(text)
  return !('problem' in parsed) && (parsed.backend !== undefined || parsed.selector.kind === 'identity')
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

function vidPid(match: RegExpExecArray): { vendorId: string; productId: string } {
  return { vendorId: (match[1] ?? '').toLowerCase(), productId: (match[2] ?? '').toLowerCase() }
}

/** What a selector is matched against. */
interface Selectable {
  port: Port
  busnum: number
  devnum: number
  vendorId: string
  productId: string
  serial: string | null
  interfaces: readonly string[]
}

/** Whether the selector names this device. A full identity must fit in every part: it is checked, not believed. */
export function selects(selector: Selector, device: Selectable): boolean {
  switch (selector.kind) {
    case 'port':
      return device.port === selector.port
    case 'bus-address':
      return device.busnum === selector.busnum && device.devnum === selector.devnum
    case 'identity':
      return (
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
  }
}
