import { QusbError } from '../errors.ts'
import { parseAliasName } from '../model/alias.ts'
import type { Device } from '../model/device.ts'
import { formatVidPid } from '../model/identity.ts'
import type { Selector } from '../model/selector.ts'
import { describeDevice } from '../passthrough/choose.ts'
import type { Context } from '../passthrough/context.ts'
import { findDevice, requireIdentified } from '../passthrough/find-device.ts'
import type { Warning } from '../passthrough/results.ts'
import { readAliases } from '../store/aliases.ts'
import { qubeNames } from './aliases.ts'
import { readDraft } from './draft.ts'
import type { RuleOptions } from './options.ts'
import type { RuleAdded } from './results.ts'
import { type Action, ANY, NONE } from './rule.ts'
import { lacksFrontend, readRuleWords } from './rule-words.ts'
import { writeRules } from './write-rules.ts'

/** The selectors that say where a device is. */
const PLACES: readonly Selector['kind'][] = ['port', 'bus-address', 'full']

interface AddRequest {
  words: readonly string[]
  action: Action
  options: RuleOptions
  /** The backend that the rule names, `*` for any; undefined: the one that the words name or the device is in. */
  backend: string | undefined
  /** The rule is about the port, whatever is plugged in there. */
  port: boolean
  /** Before the other rules of the file. */
  first: boolean
  dryRun: boolean
}

/**
 * Adds a rule. A device that is named by its place is looked at now, and the rule is about what it is.
 * @throws QusbError USAGE; NOT_FOUND or AMBIGUOUS for the device; STORE
 */
export async function addRule(context: Context, request: AddRequest): Promise<RuleAdded> {
  await requireDevice(context, request)
  const words = readRuleWords(request.words, request.action)
  const { selector } = words
  if (request.port && selector?.kind !== 'port') {
    throw new QusbError('USAGE', `"${words.deviceText}" is no port, and --port asks for a rule about one`, {
      hint: 'For example: qusb rule add sys-usb 2-1 work --port',
    })
  }
  const warnings: Warning[] = []
  let { deviceText } = words
  let backend: string = words.backend ?? ANY
  if (selector !== null && PLACES.includes(selector.kind) && !request.port) {
    const { device } = await findDevice(context, { backend: words.backend, selector })
    requireIdentified(device)
    deviceText = identityText(device)
    backend = device.backend
    if (device.serial === null) warnings.push(warnOfNoSerial(device))
  }
  const { action, options } = request
  const terms = readDraft({
    deviceText,
    backend: request.backend ?? backend,
    frontend: words.frontend,
    action,
    options,
  })
  return await writeRules(context, [terms], { ...request, leftOut: [], warnings })
}

/**
 * Whether the words begin with a qube that can only be the backend, and say nothing of a device there.
 * @throws QusbError STORE when it takes the file of aliases to tell, and that cannot be used
 */
export async function lacksDevice(
  context: Context,
  words: readonly string[],
  action: Action,
): Promise<boolean> {
  const [first, second] = words
  if (first === undefined || parseAliasName(first) === undefined || words.length > 2) return false
  // BACKEND DEVICE, of a rule that denies.
  if (action === 'deny' && second !== undefined && second !== NONE) return false
  if (lacksFrontend(words) && second !== undefined) return false
  const aliases = readAliases(context.site)
  return !aliases.some(({ name }) => name === first) && (await qubeNames(context)).has(first)
}

/** @throws QusbError USAGE */
async function requireDevice(context: Context, { words, action }: AddRequest): Promise<void> {
  if (!(await lacksDevice(context, words, action))) return
  const [qube, second] = words
  const both = action !== 'deny' && second === undefined
  throw new QusbError(
    'USAGE',
    `"${qube}" is a qube, so DEVICE${both ? ' and FRONTEND are' : ' is'} missing`,
    {
      hint: `For example: qusb rule add ${qube} 2-1${action === 'deny' ? ' --action deny' : ` ${second ?? 'work'}`}`,
    },
  )
}

/** What a device is, as a selector that finds it in any port. */
export function identityText(device: Pick<Device, 'vendorId' | 'productId' | 'serial'>): string {
  return `${formatVidPid(device)}${device.serial === null ? '' : `@${device.serial}`}`
}

function warnOfNoSerial(device: Device): Warning {
  return {
    qube: device.backend,
    code: 'NO_SERIAL',
    message: `${describeDevice(device)} has no serial${device.serialUnsafe ? ' that can be told apart safely' : ''}: the rule is about every ${formatVidPid(device)}`,
    hint: `To pin it to its port, give it a name (qusb alias add NAME ${device.backend} ${device.port}) and write the rule for that.`,
  }
}
