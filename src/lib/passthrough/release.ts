import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorCode, QusbError } from '../errors.ts'
import type { Device } from '../model/device.ts'
import type { QubeName } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import { callDetachAtBackend, callDetachAtFrontend } from '../qubes/proxy.ts'
import { type Errand, endImport, forgetImport, givingBackWhenReleased } from '../qubes/root-shell.ts'
import type { QubeSurvey } from '../qubes/survey.ts'
import { isManagementQube } from '../site/standpoint.ts'
import type { Context } from './context.ts'
import { isFree } from './free-port.ts'
import { deviceAt, frontendFacts, isFresh, type Look, lookAtBoth, whyNotDone } from './look.ts'
import type { DevicePlace } from './place-locks.ts'
import { returnToDriver } from './return-to-driver.ts'
import { findRunningQubes } from './running-qubes.ts'
import { reach } from './steps.ts'
import { type Via, viaFrom } from './via.ts'

/** Where an attachment is, or was to be. */
export interface Place extends DevicePlace {
  frontend: QubeName
  stubdom: boolean
}

/**
 * How a release ended. clean: both sides as before. leftover: the device is free and back on its driver, and the
 * frontend, which does not answer, may keep a state file. unresolved: what is still wrong, in words and by its code;
 * `refused` where policy did not let the call through that would have ended it, so that nothing was begun.
 */
export type Release =
  | { end: 'clean' }
  | { end: 'leftover' }
  | { end: 'unresolved'; why: string; code: ErrorCode; refused?: QusbError }

/** How long an attach that was interrupted may take to come to its own end, ms. */
const SETTLE_MS = 7000
/**
 * How long the kernel and the proxy may take to let go: `connected-to` clears 1.2 to 1.3 s after,
 * docs/facts.md#release.
 */
const RELEASE_MS = 5000
/** How long a detach service may take before the other side's is used, ms. */
const DETACH_MS = 8000
const POLL_MS = 120

/**
 * Ends an attachment, or what an interrupted attach left of one, clean on both sides.
 *
 * It looks before each step and believes no exit code. No step heeds the user's interrupt: this is the undoing.
 * @param looked a look that began under the lock of the device: while it is fresh it is the first one
 */
export async function release(
  context: Context,
  place: Place,
  via: Via = 'qrexec',
  looked?: Look,
): Promise<Release> {
  let look = await settleImport(context, place, looked)

  if (!look.surveys.has(place.backend) && (await runs(context, place.backend))) {
    return unresolved(look, place, `${place.backend} was not asked`)
  }
  if (holds(look, place)) {
    await reach('call-detach')
    try {
      look = await detach(context, place, look, viaFrom(context.site, via))
    } catch (error) {
      if (!(error instanceof QusbError) || error.code !== 'REFUSED') throw error
      return { end: 'unresolved', why: error.message, code: error.code, refused: error }
    }
    if (holds(look, place)) {
      const who = look.surveys.get(place.backend)?.byQubesd === undefined ? place.backend : 'qubesd'
      return unresolved(look, place, `${who} still says that ${place.frontend} has ${place.port}`)
    }
  }

  await reach('give-back')
  // A backend that is halted has no device to give back; what the frontend keeps is stale all the same.
  if (await runs(context, place.backend)) {
    const given = await returnToDriver(context, place, look)
    if (given.kept !== undefined) return { end: 'unresolved', ...given.kept }
    // What the frontend has of it was seen after the call, which is over; giving back is a matter of the backend.
    look = { ...look, surveys: new Map([...look.surveys, ...given.seen.surveys]) }
  }
  await reach('forget-import')
  return (await forgetStateFile(context, place, look)) ? { end: 'clean' } : { end: 'leftover' }
}

/** Where nobody knows, it does. */
async function runs(context: Context, qube: QubeName): Promise<boolean> {
  return (await findRunningQubes(context))?.has(qube) ?? true
}

function unresolved(seen: Look, { backend }: Place, why: string): Release {
  return { end: 'unresolved', ...whyNotDone(seen, backend, why) }
}

/** @param errand for the backend, before the look at it begins */
async function look(context: Context, place: Place, errand?: Errand): Promise<Look> {
  const after = errand === undefined ? undefined : { qube: place.backend, errand }
  return await lookAtBoth(context, place, { heedSignal: false, after })
}

/** Whether the backend says that the frontend has the device, or that it is exported and to nobody yet. */
function holds(seen: Look, place: Place): boolean {
  const survey = seen.surveys.get(place.backend)
  const device = deviceAt(survey, place.port)
  if (survey === undefined || device === undefined) return false
  return (
    device.attachedTo === place.frontend || (device.attachedTo === null && isExported(survey, place.port))
  )
}

function isExported(survey: QubeSurvey, port: Port): boolean {
  return survey.exports.some((entry) => entry.port === port && entry.status === 2)
}

/** Whether an import of this device is under way in the frontend, as far as it can be seen. */
function isPending(seen: Look, place: Place): boolean {
  return (
    frontendFacts(seen, place.frontend)?.pendingImports.some(
      (entry) => entry.backend === place.backend && entry.port === place.port,
    ) ?? false
  )
}

/**
 * Waits for an import under way to come to an end, and ends it when it does not: a detach must never race an
 * unfinished attach, or the frontend's controller is wedged (docs/facts.md#unfinished-attach).
 */
async function settleImport(context: Context, place: Place, looked?: Look): Promise<Look> {
  const deadline = Date.now() + SETTLE_MS
  const isEnough = looked !== undefined && isFresh(looked) && showsBoth(looked, place)
  for (let seen = isEnough ? looked : await look(context, place); ; seen = await look(context, place)) {
    if (!isPending(seen, place)) return await settleEnumeration(context, place, seen)
    if (Date.now() > deadline) break
    context.progress(
      `waiting for the attach of ${place.backend}:${place.port} to ${place.frontend} to settle`,
    )
    await sleep(POLL_MS)
  }
  await endImport(context.site, place.frontend, place.backend, place.port)
  return await poll(
    2000,
    () => look(context, place),
    (seen) => !isPending(seen, place),
  )
}

function showsBoth({ surveys }: Look, { backend, frontend, stubdom }: Place): boolean {
  return surveys.has(backend) && (stubdom || surveys.has(frontend))
}

/** Waits while the frontend's kernel still reads the device's descriptors. A device no driver knows never binds. */
async function settleEnumeration(context: Context, place: Place, seen: Look): Promise<Look> {
  const isEnumerating = (at: Look): boolean => {
    const row = rowOf(at, place)
    if (row === undefined) return false
    const imported = importOf(at, place)
    return imported === undefined || !imported.enumerated
  }
  return isEnumerating(seen)
    ? await poll(
        3000,
        () => look(context, place),
        (at) => !isEnumerating(at),
      )
    : seen
}

/** The row of the frontend's controller that carries this device. */
function rowOf(seen: Look, place: Place): { port: string } | undefined {
  const device = deviceAt(seen.surveys.get(place.backend), place.port)
  if (device === undefined) return undefined
  return frontendFacts(seen, place.frontend)?.vhci?.find((row) => !isFree(row) && carries(row, device))
}

function importOf(seen: Look, place: Place): { vhciPort: string; enumerated: boolean } | undefined {
  const device = deviceAt(seen.surveys.get(place.backend), place.port)
  if (device === undefined) return undefined
  return frontendFacts(seen, place.frontend)?.imports.find((imported) => carries(imported, device))
}

/** Whether what sits on a port of the frontend's controller is this device, by its numbers in the backend. */
export function carries(
  row: { remoteBusnum: number | null; remoteDevnum: number | null },
  device: Pick<Device, 'busnum' | 'devnum'>,
): boolean {
  return row.remoteBusnum === device.busnum && row.remoteDevnum === device.devnum
}

/** @param first the first look, where it is another than the next ones */
async function poll(
  ms: number,
  again: () => Promise<Look>,
  done: (seen: Look) => boolean,
  first: () => Promise<Look> = again,
): Promise<Look> {
  const deadline = Date.now() + ms
  for (let seen = await first(); ; seen = await again()) {
    if (done(seen) || Date.now() > deadline) return seen
    await sleep(POLL_MS)
  }
}

/** By qubesd where that is wanted, by the frontend's service where that is safe, else by the backend's. */
async function detach(context: Context, place: Place, seen: Look, via: Via): Promise<Look> {
  const isReleased = (at: Look): boolean => at.surveys.has(place.backend) && !holds(at, place)
  // Only the backend knows, and its word comes up to a second after the call: it waits for that itself and gives the device
  // back then, since each question of ours is a call and a look at everything. A management qube needs no shell of root's
  // for what qubesd has detached.
  const errand = isManagementQube(context.site)
    ? undefined
    : givingBackWhenReleased(place.port, place.frontend)
  const awaitRelease = async (): Promise<Look> =>
    await poll(
      RELEASE_MS,
      () => look(context, place),
      isReleased,
      () => look(context, place, errand),
    )
  if (via === 'admin') {
    context.progress(`qubesd detaches ${place.backend}:${place.port} from ${place.frontend}`)
    const { detachByAdmin } = await import('../qubes/admin/usb.ts')
    await detachByAdmin(context.site, { ...place, timeoutMs: DETACH_MS })
    await reach('await-release')
    const after = await awaitRelease()
    // From a management qube the proxy's own services are not called: policy, not qusb, says as whom they run.
    if (isReleased(after) || isManagementQube(context.site)) return after
  }
  if (isSafeAtFrontend(seen, place)) {
    context.progress(`detaching ${place.backend}:${place.port} from ${place.frontend}`)
    await callDetachAtFrontend(context.site, { ...place, timeoutMs: DETACH_MS })
    await reach('await-release')
    const after = await awaitRelease()
    if (isReleased(after)) return after
  }
  context.progress(`detaching ${place.backend}:${place.port} at ${place.backend}`)
  await callDetachAtBackend(context.site, { ...place, timeoutMs: DETACH_MS })
  await reach('await-release')
  return await awaitRelease()
}

/**
 * Whether the frontend's service would detach this device and no other: its state file names the very port of its
 * controller that carries the device now.
 */
function isSafeAtFrontend(seen: Look, place: Place): boolean {
  const survey = seen.surveys.get(place.frontend)
  if (place.stubdom || survey === undefined || !survey.proxy.usbDetach) return false
  const device = deviceAt(seen.surveys.get(place.backend), place.port)
  const facts = frontendFacts(seen, place.frontend)
  const file = facts?.stateFiles.find((entry) => entry.backend === place.backend && entry.port === place.port)
  if (device === undefined || file === undefined) return false
  // Another backend's device may have the same bus and device number: the port decides.
  return facts?.vhci?.some((row) => carries(row, device) && sameVhciPort(row.port, file.vhciPort)) ?? false
}

/** The state file and the kernel's table may write leading zeroes differently. */
export function sameVhciPort(a: string, b: string): boolean {
  return a.replace(/^0+(?=.)/, '') === b.replace(/^0+(?=.)/, '')
}

/**
 * Removes the state file that an import left in its frontend, unless it is that of an attachment that stands.
 * @param looked a look at both qubes, where there was one just now
 * @returns whether the frontend is known to have none now
 */
export async function forgetStateFile(context: Context, place: Place, looked?: Look): Promise<boolean> {
  if (place.stubdom || !(await runs(context, place.frontend))) return true
  const hasFile = (seen: Look): boolean | undefined =>
    frontendFacts(seen, place.frontend)?.stateFiles.some(
      (entry) => entry.backend === place.backend && entry.port === place.port,
    )
  const seen = looked?.surveys.has(place.frontend) ? looked : await look(context, place)
  // Somebody else may have attached it meanwhile: then the file is theirs, and true.
  if (deviceAt(seen.surveys.get(place.backend), place.port)?.attachedTo === place.frontend) return true
  if (hasFile(seen) !== true) return hasFile(seen) === false
  await forgetImport(context.site, place.frontend, place.backend, place.port)
  return hasFile(await look(context, place)) === false
}
