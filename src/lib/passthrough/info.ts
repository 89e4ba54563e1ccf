import { interfaceWords } from '../model/interface-class.ts'
import type { QubeName } from '../model/names.ts'
import type { Selector } from '../model/selector.ts'
import type { QubeSurvey } from '../qubes/survey.ts'
import { findAssignments } from './assignments.ts'
import { findBackends, onlyBackends } from './backends.ts'
import { chooseDevice } from './choose.ts'
import type { Context } from './context.ts'
import { describeUsage, isSecurityKey } from './guards.ts'
import { listed, lookWithStore } from './list.ts'
import { failureToWarning, surveyOf, warningsOf } from './look.ts'
import { aliasesIfAny, namingOf } from './naming.ts'
import type { InfoResult, ListedDevice } from './results.ts'

/**
 * All that is known of one device, and what to know before giving it away.
 * @throws QusbError NOT_FOUND, AMBIGUOUS, or why the backend could not be asked
 */
export async function info(
  context: Context,
  request: { backend: QubeName | undefined; selector: Selector },
): Promise<InfoResult> {
  const backends =
    request.backend === undefined ? await findBackends(context) : onlyBackends([request.backend])
  const assigning = findAssignments(context)
  const { seen, records, warnings } = await lookWithStore(context, backends)
  if (request.backend !== undefined) surveyOf(seen, request.backend)
  const surveys = [...seen.surveys.values()]
  const [first] = backends.names
  if (surveys.length === 0 && first !== undefined) surveyOf(seen, first)
  const naming = namingOf(context.site)
  const chosen = chooseDevice(surveys, request.selector, naming)
  const device = listed(chosen, records, await assigning, {
    description: naming.namesOf([chosen])(chosen),
    aliases: aliasesIfAny(naming, chosen),
  })
  const survey = surveyOf(seen, device.backend)
  return {
    schema: 1,
    device,
    interfaces: device.interfaces.map((code, i) => ({
      code,
      words: interfaceWords(code)[0],
      driver: driverOf(device, i),
    })),
    advice: adviseOn(device, survey),
    warnings: [
      ...warnings,
      ...[...seen.failures.values()].map(failureToWarning),
      ...warningsOf(survey),
      // All that was asked of it is answered, or was asked in vain.
      ...context.directory.warnings(),
    ],
  }
}

/** The survey tells the drivers that have interfaces, each once: one of them all, or one of each. */
function driverOf(device: ListedDevice, index: number): string | null {
  const drivers = device.interfaceDrivers
  if (drivers.length === 1) return drivers[0] ?? null
  return drivers.length === device.interfaces.length ? (drivers[index] ?? null) : null
}

/** What a user should know before giving a device away. Pure. */
export function adviseOn(device: ListedDevice, survey: Pick<QubeSurvey, 'ctapProxy'>): InfoResult['advice'] {
  const advice: InfoResult['advice'] = []
  const has = (...prefixes: string[]): boolean =>
    device.interfaces.some((code) => prefixes.some((prefix) => code.startsWith(prefix)))
  if (has('0301')) {
    advice.push({
      kind: 'types',
      text:
        device.inputForDom0 === true
          ? 'dom0 is typing or pointing with it right now.'
          : 'It can type or point: a qube that gets it takes its keys as yours.',
    })
  }
  if (has('08'))
    advice.push({ kind: 'stores', text: 'It stores data: the qube can read, change and delete all of it.' })
  if (has('0e', '06'))
    advice.push({ kind: 'camera', text: 'It is a camera, or has pictures: the qube can see what it sees.' })
  if (has('01'))
    advice.push({
      kind: 'microphone',
      text: 'It carries sound: if it has a microphone, the qube can listen.',
    })
  if (has('02', 'e0')) {
    advice.push({
      kind: 'network',
      text: 'It is a network, modem or wireless device: the qube gets a way out past its firewall.',
    })
  }
  if (isSecurityKey(device)) {
    advice.push({
      kind: 'security-key',
      text: 'It looks like a security key: the qube can ask it to sign in as you.',
    })
    if (survey.ctapProxy) {
      advice.push({
        kind: 'ctap-proxy',
        text: `${device.backend} serves security keys to other qubes: while it is attached to one, the others do without it.`,
      })
    }
  }
  for (const usage of device.usage ?? []) {
    advice.push({
      kind: 'in-use',
      text: `It is in use in ${device.backend}: ${describeUsage(usage)}. Taking it away would lose data.`,
    })
  }
  if (device.hidden)
    advice.push({ kind: 'hidden', text: `${device.backend} does not offer it to other qubes, on purpose.` })
  if (device.serial === null) {
    advice.push({
      kind: 'no-serial',
      text: device.serialUnsafe
        ? 'Its serial cannot be told apart safely and counts as none.'
        : 'It has no serial: another device of its kind cannot be told from it.',
    })
  }
  return advice
}
