import { QusbError } from '../errors.ts'
import { type Device, isSame, mayBeFree } from '../model/device.ts'
import type { QubeName } from '../model/names.ts'
import { policyLine } from '../qubes/refusal.ts'
import type { QubeSurvey } from '../qubes/survey.ts'
import type { FrontendFacts } from '../qubes/survey-facts.ts'
import type { Site } from '../site/site.ts'
import { findBackends, onlyBackends } from './backends.ts'
import { chooseDevice, describeDevice } from './choose.ts'
import type { Context } from './context.ts'
import { type AskedDenied, askDenied } from './deny-list.ts'
import type { DeviceWords } from './find-device.ts'
import { attachWarnings, guardFrontend } from './guards.ts'
import {
  deviceAt,
  failureToError,
  frontendFacts,
  isFresh,
  type Look,
  lookAt,
  lookAtBoth,
  surveyOf,
  warningsOf,
} from './look.ts'
import { namingOf } from './naming.ts'
import type { DevicePlace } from './place-locks.ts'
import { reconcile } from './reconcile.ts'
import type { Place } from './release.ts'
import type { Warning } from './results.ts'
import { requireRunningQubes } from './running-qubes.ts'
import { reach } from './steps.ts'
import type { Via } from './via.ts'

export interface AttachRequest extends DeviceWords {
  frontend: QubeName
  /** Past the guards that can be forced. */
  force: boolean
  /** Only say what would be done. */
  dryRun: boolean
  /** For the call of the service, ms. */
  timeoutMs: number
  /** Whose call it is: our own over qrexec, or qubesd's. */
  via: Via
  /** Start the frontend where it is halted. */
  start: boolean
  /** Take it from another frontend that has it. */
  replace: boolean
}

/** What has been chosen, before anything is done. */
export interface Chosen {
  device: Device
  place: Place
  seen: Look
  /** Asked with that look. */
  denied: AskedDenied
  warnings: Warning[]
}

/**
 * Surveys, chooses and checks; nothing is changed.
 * @param meanwhile.held the place whose lock the caller holds, if any; it may be about to be locked
 * @param meanwhile.settling whether it has changed what a look begun before it saw
 */
export async function chooseForAttach(
  context: Context,
  request: AttachRequest,
  meanwhile: {
    held?: DevicePlace | Promise<DevicePlace | undefined>
    settling?: Promise<{ isChanged: boolean }>
  } = {},
): Promise<Chosen> {
  await reach('survey')
  const { site } = context
  const running = await requireRunningQubes(context)
  const asked = request.backend === undefined ? await findBackends(context) : onlyBackends([request.backend])
  const stubdom = running.get(request.frontend)?.stubdom ?? false
  const qubes = new Set(asked.names)
  if (!stubdom) qubes.add(request.frontend)
  context.progress(`looking at ${[...qubes].join(', ')}`)
  const look = (): Promise<Look> => lookAt(context, qubes, { ...asked, frontends: [request.frontend] })
  const looking = look()
  const denied = askDenied(context, request.frontend)
  const first = await looking
  const seen = (await meanwhile.settling)?.isChanged === true ? await look() : first
  const backends = [...new Set([...asked.names, ...(await asked.found).running])]
  if (request.backend !== undefined) surveyOf(seen, request.backend)

  await reach('choose')
  const surveys = backends.flatMap((name) => seen.surveys.get(name) ?? [])
  const [backend] = backends
  if (surveys.length === 0 && backend !== undefined) surveyOf(seen, backend)
  const device = chooseDevice(surveys, request.selector, namingOf(context.site))
  guardFrontend(device.backend, request.frontend)
  const absent = await context.directory.whyNotThere(request.frontend)
  if (absent !== undefined) throw failureToError(absent)
  if (!running.has(request.frontend)) {
    throw new QusbError('NOT_RUNNING', `${request.frontend} is not running, or there is no such qube`, {
      hint: `Start it: qvm-start ${request.frontend}`,
    })
  }
  if (!stubdom) surveyOf(seen, request.frontend)
  const survey = surveyOf(seen, device.backend)
  requireEnoughToTell(site, survey, request)
  const place = { backend: device.backend, port: device.port, frontend: request.frontend, stubdom }
  const ended = request.dryRun ? [] : await endWhatIsOver(context, survey, await meanwhile.held)
  return {
    device,
    place,
    seen,
    denied,
    warnings: [...ended, ...warningsOf(survey), ...attachWarnings(device, survey)],
  }
}

/** Tells the store of attachments of this backend that are over. */
async function endWhatIsOver(
  context: Context,
  survey: QubeSurvey,
  held: DevicePlace | undefined,
): Promise<Warning[]> {
  const { readState } = await import('../store/store.ts')
  const records = readState(context.site).state.attachments
  return await reconcile(context, records, { surveys: new Map([[survey.qube, survey]]) }, held)
}

/**
 * Where qubesd alone tells of the backend, the attach must be qubesd's own, and its word on the frontend is what shows
 * afterwards whether it came through.
 * @throws QusbError REFUSED, NO_PROXY
 */
function requireEnoughToTell(site: Site, { byQubesd }: QubeSurvey, { via, frontend }: AttachRequest): void {
  if (byQubesd === undefined) return
  if (via !== 'admin') {
    throw new QusbError(byQubesd.because.code, byQubesd.because.message, {
      hint: 'With --via admin it goes through qubesd, and by its word alone.',
    })
  }
  if (!byQubesd.unheard.includes(frontend)) return
  const call = 'admin.vm.device.usb.Attached'
  throw new QusbError(
    'REFUSED',
    `the Qubes policy refuses this qube the call ${call} to ${frontend}, so nobody could tell whether it has the device then`,
    { hint: policyLine(site, call, frontend) },
  )
}

export function frontendSurvey(chosen: Pick<Chosen, 'seen' | 'place'>): QubeSurvey | null {
  return chosen.place.stubdom ? null : surveyOf(chosen.seen, chosen.place.frontend)
}

/** What the frontend has of others; undefined where a stub domain gets the device, which nobody can look into. */
export function importsOf({ seen, place }: Pick<Chosen, 'seen' | 'place'>): FrontendFacts | undefined {
  return place.stubdom ? undefined : frontendFacts(seen, place.frontend)
}

/**
 * @param wanted the frontend that was to get it
 * @throws QusbError CONFLICT when somebody has it, or nobody can say who
 */
export function requireFree(device: Device, wanted: QubeName): void {
  const at = `${device.backend}:${device.port}`
  if (device.attachedTo !== null) {
    throw new QusbError('CONFLICT', `${at} (${describeDevice(device)}) is attached to ${device.attachedTo}`, {
      hint: `Take it from there: qusb move ${at} ${wanted}, or qusb detach ${device.backend} ${device.port}.`,
    })
  }
  if (!mayBeFree(device)) {
    throw new QusbError(
      'CONFLICT',
      `${device.backend} names a holder of ${device.port} that cannot be, or has not let go of it yet`,
      {
        hint: `Wait a moment; if it stays so, look at ${device.backend} itself.`,
      },
    )
  }
}

/**
 * What was chosen may have changed while the locks were waited for, and what was left over is removed only by a look
 * under the locks. A fresh look at a clean place is not repeated: a change since then makes the service itself refuse
 * (it is attached, it is gone), and verifyAttach compares what came through with what was chosen.
 * @throws QusbError CONFLICT, NOT_FOUND
 */
export async function lookAgainUnderLock(context: Context, chosen: Chosen): Promise<Chosen> {
  const { place } = chosen
  if (isFresh(chosen.seen) && !hasLeftovers(chosen)) return chosen
  const looking = lookAtBoth(context, place)
  const denied = askDenied(context, place.frontend)
  const seen = await looking
  const device = deviceAt(surveyOf(seen, place.backend), place.port)
  if (device === undefined || !isSame(device, chosen.device)) {
    throw new QusbError('NOT_FOUND', `${place.backend}:${place.port} was unplugged meanwhile`, {
      hint: `See what is there: qusb list ${place.backend}`,
    })
  }
  requireFree(device, place.frontend)
  return { ...chosen, seen, denied, device }
}

/** Whether the frontend has something of an earlier attach of this place. */
function hasLeftovers(chosen: Chosen): boolean {
  const { backend, port } = chosen.place
  const facts = importsOf(chosen)
  return [...(facts?.pendingImports ?? []), ...(facts?.stateFiles ?? [])].some(
    (entry) => entry.backend === backend && entry.port === port,
  )
}

/** Who calls the backend: the frontend, or its stub domain. */
export function callerOf(place: Place): QubeName | `${QubeName}-dm` {
  return place.stubdom ? `${place.frontend}-dm` : place.frontend
}
