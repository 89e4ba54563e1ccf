import { QusbError } from '../errors.ts'
import { parseQubeName, type QubeName } from '../model/names.ts'
import { parseSelector, type Selector, standsAlone } from '../model/selector.ts'
import { otherBackend, readQube } from '../passthrough/words.ts'
import { type Action, ANY, NONE } from './rule.ts'

/** What the words of `rule add` say. */
export interface RuleWords {
  /** The backend that was named, by a word or in front of the device. */
  backend: QubeName | undefined
  /** As it was typed. */
  deviceText: string
  /** null: any device. */
  selector: Selector | null
  /** null: nobody. */
  frontend: QubeName | null
}

/**
 * Reads DEVICE FRONTEND or BACKEND DEVICE FRONTEND. A rule that denies is for every qube: it has no frontend, or `@none`.
 * @throws QusbError USAGE naming the word that is wrong
 */
export function readRuleWords(words: readonly string[], action: Action): RuleWords {
  const { device, frontend } = splitWords(words, action)
  const [first, second] = device
  const backend = second === undefined ? undefined : readQube(first ?? '', 'backend')
  const deviceText = second ?? first
  if (deviceText === undefined) {
    throw new QusbError('USAGE', 'DEVICE is missing', { hint: 'For example: qusb rule add 1050:0407 vault' })
  }
  if (deviceText === ANY) return { backend, deviceText, selector: null, frontend }
  const parsed = parseSelector(deviceText)
  if ('problem' in parsed) throw new QusbError('USAGE', parsed.problem, { hint: parsed.hint })
  if (backend !== undefined && parsed.backend !== undefined && parsed.backend !== backend) {
    throw otherBackend(deviceText, backend)
  }
  return { backend: backend ?? parsed.backend, deviceText, selector: parsed.selector, frontend }
}

/** Whether the words name a device and nobody who gets it: DEVICE, or BACKEND DEVICE. */
export function lacksFrontend(words: readonly string[]): boolean {
  const [, second] = words
  return second === undefined || (words.length === 2 && isDeviceOnly(second))
}

/** What names a device and cannot name a qube. */
function isDeviceOnly(word: string): boolean {
  return parseQubeName(word) === undefined && !('problem' in parseSelector(word))
}

function splitWords(
  words: readonly string[],
  action: Action,
): { device: readonly string[]; frontend: QubeName | null } {
  const last = words.at(-1)
  if (action === 'deny') {
    const device = last === NONE ? words.slice(0, -1) : words
    const [first = '', second] = device
    const named = device.length > 2 ? last : first === ANY || standsAlone(first) ? second : undefined
    if (named === undefined) return { device, frontend: null }
    throw new QusbError('USAGE', `a rule that denies is for every qube, so "${named}" is one word too many`, {
      hint: 'Leave the frontend out.',
    })
  }
  if (last === undefined || lacksFrontend(words)) {
    throw new QusbError('USAGE', 'FRONTEND is missing', {
      hint: 'For example: qusb rule add 1050:0407 vault, or with --action deny none.',
    })
  }
  return { device: words.slice(0, -1), frontend: readQube(last, 'frontend') }
}
