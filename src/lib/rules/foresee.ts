import { QusbError } from '../errors.ts'
import type { Device } from '../model/device.ts'
import type { QubeName } from '../model/names.ts'
import { assignmentOf, findAssignments } from '../passthrough/assignments.ts'
import { findBackends } from '../passthrough/backends.ts'
import type { Context } from '../passthrough/context.ts'
import { askDenied, requireNotDenied } from '../passthrough/deny-list.ts'
import { type DeviceWords, findDevice } from '../passthrough/find-device.ts'
import { guardFrontend, guardsAgainst } from '../passthrough/guards.ts'
import { failureToWarning, surveyOf } from '../passthrough/look.ts'
import { namingOf } from '../passthrough/naming.ts'
import { whyNotThere } from '../passthrough/qube-directory.ts'
import type { Warning } from '../passthrough/results.ts'
import { seeQubes } from '../passthrough/sight.ts'
import { findDenyRule } from '../qubes/policy.ts'
import type { QubeSurvey } from '../qubes/survey.ts'
import { isManagementQube } from '../site/standpoint.ts'
import { candidatesOf, imagineDevice } from './candidates.ts'
import { type Candidate, type Decision, decide } from './decide.ts'
import { requireRules } from './load.ts'
import { type Foreseen, showRule } from './results.ts'

type Note = Foreseen['notes'][number]

/**
 * What would happen to a device by the rules if it were plugged in now; nothing is done.
 * @param request.selector a device that is there, or one that nobody sees and that is told of as VENDOR:PRODUCT or in full
 * @throws QusbError USAGE where the rules are broken; NOT_FOUND, AMBIGUOUS, or why the backend could not be asked
 */
export async function foresee(context: Context, request: DeviceWords): Promise<Foreseen> {
  const rules = requireRules(context.site)
  const assigning = findAssignments(context)
  const { candidate, plugged, warnings } = await findCandidate(context, request)
  const { qubes } = await seeQubes(context)
  const running = new Set([...qubes].filter(([, { state }]) => state === 'running').map(([name]) => name))
  const decision = decide(rules, candidate, { running })
  const { outcome, notes } = await whatComes(context, candidate, decision, running)
  const assignment = assignmentOf(candidate.device, await assigning)
  if (assignment !== null) {
    notes.push({
      code: 'ASSIGNED',
      message: `qubesd has it assigned to ${assignment.frontend} (${assignment.mode}), and may be first`,
      hint: 'One of the two is enough: qusb rule check',
    })
  }
  const { device } = candidate
  return {
    schema: 1,
    device: {
      plugged,
      backend: device.backend,
      port: plugged || request.selector.kind === 'full' ? device.port : null,
      vendorId: device.vendorId,
      productId: device.productId,
      serial: device.serial,
      interfaces: device.interfaces,
      description: candidate.description,
      aliases: [...candidate.aliases],
    },
    action: decision.action,
    rule: decision.rule === null ? null : showRule(decision.rule),
    frontend: decision.frontend,
    options: decision.options,
    outcome,
    notes,
    considered: decision.considered.map(({ rule, outcome, why }) => ({ rule: showRule(rule), outcome, why })),
    warnings: [...warnings, ...context.directory.warnings()],
  }
}

/** The device that is meant: one that is there, else the one that the selector tells of. */
async function findCandidate(
  context: Context,
  request: DeviceWords,
): Promise<{ candidate: Candidate; plugged: boolean; warnings: Warning[] }> {
  const naming = namingOf(context.site)
  const see = (device: Device, publishedSerials: QubeSurvey['publishedSerials']): Candidate => {
    const [candidate] = candidatesOf(
      { devices: [device], publishedSerials },
      naming.aliases(),
      naming.namesOf([device]),
    )
    if (candidate === undefined) throw new Error('one device is one candidate')
    return candidate
  }
  try {
    const { device, seen } = await findDevice(context, request)
    return {
      candidate: see(device, surveyOf(seen, device.backend).publishedSerials),
      plugged: true,
      warnings: [...seen.failures.values()].map(failureToWarning),
    }
  } catch (error) {
    const device = await imagine(context, request)
    if (!(error instanceof QusbError) || error.code !== 'NOT_FOUND' || device === undefined) throw error
    return { candidate: see(device, []), plugged: false, warnings: [] }
  }
}

/** The device that a selector tells of, in the backend that was named or the first there is. */
async function imagine(context: Context, { backend, selector }: DeviceWords): Promise<Device | undefined> {
  if (selector.kind !== 'identity' && selector.kind !== 'full') return undefined
  if (backend !== undefined && (await context.directory.whyNotThere(backend)) !== undefined) return undefined
  const name = backend ?? (await findBackends(context)).names[0]
  if (name === undefined) return undefined
  const { vendorId, productId, serial } = selector
  return imagineDevice({
    backend: name,
    vendorId,
    productId,
    serial,
    interfaces: [],
    ...(selector.kind === 'full' ? { port: selector.port, interfaces: selector.interfaces } : {}),
  })
}

/** What comes of a decision: the attach's own guards, the deny lists and the state of the frontend have their say. */
async function whatComes(
  context: Context,
  candidate: Candidate,
  { action, frontend, options }: Decision,
  running: ReadonlySet<QubeName>,
): Promise<{ outcome: Foreseen['outcome']; notes: Note[] }> {
  if (action === 'none') return { outcome: 'nothing', notes: [] }
  if (action === 'deny' || frontend === null) return { outcome: 'denied', notes: [] }
  const refusals = await findRefusals(context, candidate, frontend)
  if (refusals.length > 0) return { outcome: 'refused', notes: refusals }
  if (running.has(frontend) || options.start) {
    const notes = running.has(frontend)
      ? []
      : [{ code: 'STARTS', message: `${frontend} would be started for it`, hint: null }]
    return { outcome: action === 'ask' ? 'asked' : 'attached', notes }
  }
  const note = {
    code: 'WAITS',
    message: `${frontend} does not run: it gets the device when it is started`,
    hint: 'With start=yes the rule starts it.',
  }
  return { outcome: 'waits', notes: [note] }
}

async function findRefusals(context: Context, { device }: Candidate, frontend: QubeName): Promise<Note[]> {
  const { backend, port } = device
  const notes: Note[] = []
  const collect = async (work: () => unknown): Promise<void> => {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof QusbError) || context.signal.aborted) throw error
      notes.push({ code: error.code, message: error.message, hint: error.hint ?? null })
    }
  }
  const known = await context.directory.qubes()
  const absent = whyNotThere(known, frontend, isManagementQube(context.site))
  if (absent?.code === 'NOT_FOUND') {
    notes.push({ code: absent.code, message: absent.message, hint: absent.hint ?? null })
    return notes
  }
  await collect(() => guardFrontend(backend, frontend))
  // What the backend does with it now is over when it is plugged in anew.
  for (const reason of guardsAgainst({ ...device, usage: [] })) {
    notes.push({ code: 'REFUSED', message: reason, hint: 'By hand: qusb attach … --force.' })
  }
  const place = { backend, port, frontend, stubdom: false }
  await collect(async () => await requireNotDenied(place, device, askDenied(context, place.frontend)))
  const denies = await findDenyRule(context.site, { caller: frontend, backend, port })
  if (denies !== undefined) {
    notes.push({
      code: 'REFUSED',
      message: `the Qubes policy denies it: ${denies.file}:${denies.line}`,
      hint: null,
    })
  }
  return notes
}
