import { interfaceWords } from '../model/interface-class.ts'
import type { ImportedDevices } from './import-qvd.ts'

/** A word, a string or a brace of USBGuard's rule language. */
const TOKEN = /\s*(?:"((?:[^"\\]|\\.)*)"|([{}])|([^\s"{}]+))/y

interface Token {
  text: string
  kind: 'string' | 'brace' | 'word'
}

/** The values of an attribute, and how they are meant where there are several. */
interface Attribute {
  operator: string
  values: string[]
}

/**
 * Reads the allow rules of USBGuard's rules.conf (usbguard-rules.conf(5)): by id and serial, or by one interface class.
 * A rule that says what ours cannot is left out rather than widened; hashes and names are, as ours are, beside the id.
 * @param text any text
 */
export function readUsbGuard(text: string): ImportedDevices {
  const devices: ImportedDevices['devices'] = []
  const leftOut: ImportedDevices['leftOut'] = []
  for (const line of text.split('\n')) {
    const what = line.trim()
    if (what === '' || what.startsWith('#')) continue
    const read = readLine(what)
    if (typeof read === 'string') leftOut.push({ what: what.slice(0, 200), why: read })
    else devices.push(...read.map((deviceText) => ({ deviceText, from: what.slice(0, 200) })))
  }
  return { devices, leftOut }
}

/** @returns selectors, or why there is none */
function readLine(line: string): string[] | string {
  const tokens = tokenize(line)
  if (tokens === undefined) return 'it cannot be read'
  const [target, ...rest] = tokens
  if (target?.text !== 'allow') return 'it does not allow: only what is allowed is taken over'
  const attributes = readAttributes(rest)
  if (typeof attributes === 'string') return attributes
  const interfaces = attributes.get('with-interface')
  if (interfaces?.values.every((value) => value.startsWith('09:')) === true) {
    return 'it is a hub: rules are about what is behind it'
  }
  const ids = attributes.get('id')
  if (ids === undefined || ids.values.some((id) => id === '*:*')) return readClass(attributes)
  const wrong = ids.values.find((id) => !/^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}$/.test(id))
  if (wrong !== undefined) return `it is about every product of a vendor (${wrong})`
  const serials = attributes.get('serial')
  if (!isChoice(ids) || (serials !== undefined && !isChoice(serials)))
    return 'it is about what a device is not'
  const known = (serials?.values ?? []).filter((serial) => serial !== '')
  return ids.values.flatMap((id) =>
    known.length === 0 ? [id.toLowerCase()] : known.map((serial) => `${id.toLowerCase()}@${serial}`),
  )
}

/** A rule about any id is about a class, where it has no serial and names one class as a whole. */
function readClass(attributes: ReadonlyMap<string, Attribute>): string[] | string {
  const interfaces = attributes.get('with-interface')
  if (attributes.has('serial') || interfaces === undefined) return 'it is about any device'
  const codes = interfaces.values.map((value) => /^([0-9a-fA-F]{2}):\*:\*$/.exec(value)?.[1]?.toLowerCase())
  if (!isChoice(interfaces) || codes.some((code) => code === undefined)) {
    return 'it is about interfaces that no class has as a whole'
  }
  return codes.map((code) => `class:${interfaceWords(`${code}0000`)[0]}`)
}

/** One of several will do, or there is one. */
function isChoice({ operator, values }: Attribute): boolean {
  return operator === 'one-of' || (values.length === 1 && operator !== 'none-of')
}

function tokenize(line: string): Token[] | undefined {
  const tokens: Token[] = []
  for (let at = 0; at < line.length; ) {
    TOKEN.lastIndex = at
    const match = TOKEN.exec(line)
    if (match === null) return line.slice(at).trim() === '' ? tokens : undefined
    const [all, string, brace, word] = match
    at += all.length
    if (string !== undefined) tokens.push({ text: readEscapes(string), kind: 'string' })
    else
      tokens.push(brace !== undefined ? { text: brace, kind: 'brace' } : { text: word ?? '', kind: 'word' })
  }
  return tokens
}

function readEscapes(text: string): string {
  return text.replace(/\\(?:x([0-9a-fA-F]{2})|(.))/gs, (_, hex?: string, character?: string) =>
    hex === undefined ? (character ?? '') : String.fromCharCode(Number.parseInt(hex, 16)),
  )
}

const OPERATORS = ['all-of', 'one-of', 'none-of', 'equals', 'equals-ordered', 'match-all']

/** @returns the attributes by name, or why they cannot be read */
function readAttributes(tokens: readonly Token[]): Map<string, Attribute> | string {
  const attributes = new Map<string, Attribute>()
  let i = 0
  while (i < tokens.length) {
    const name = tokens[i++]
    if (name?.kind !== 'word') return 'it cannot be read'
    if (name.text === 'if') return 'it has a condition'
    let operator = 'equals'
    const next = tokens[i]
    if (next?.kind === 'word' && OPERATORS.includes(next.text)) {
      operator = next.text
      i++
    }
    const values: string[] = []
    if (tokens[i]?.kind === 'brace' && tokens[i]?.text === '{') {
      for (i++; i < tokens.length && tokens[i]?.kind !== 'brace'; i++) values.push(tokens[i]?.text ?? '')
      if (tokens[i++]?.text !== '}') return 'it cannot be read'
    } else {
      const value = tokens[i++]
      if (value === undefined || value.kind === 'brace') return 'it cannot be read'
      values.push(value.text)
    }
    if (values.length === 0) return 'it cannot be read'
    attributes.set(name.text, { operator, values })
  }
  return attributes
}
