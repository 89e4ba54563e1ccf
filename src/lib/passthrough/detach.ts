import { errorToJson, QusbError } from '../errors.ts'
import { type AttachmentRecord, placeOf } from '../model/attachment.ts'
import type { Device } from '../model/device.ts'
import type { QubeName } from '../model/names.ts'
import type { Selector } from '../model/selector.ts'
import type { Lock } from '../store/lock.ts'
import { readState } from '../store/store.ts'
import { findBackends, onlyBackends } from './backends.ts'
import { chooseDevice, describeDevice } from './choose.ts'
import type { Context } from './context.ts'
import { endRecords, makeRecord, putRecord, withdrawRecord } from './journal.ts'
import { failureToError, failureToWarning, type Look, lookAt, surveyOf } from './look.ts'
import { namingOf } from './naming.ts'
import { type DevicePlace, lockEarly, lockOrConflict, placeIn } from './place-locks.ts'
import { reconcile } from './reconcile.ts'
import { release } from './release.ts'
import type { Attachment, DetachResult, PlanStep, Warning } from './results.ts'
import { returnToDriver } from './return-to-driver.ts'
import { requireRunningQubes } from './running-qubes.ts'
import { settle } from './settle.ts'
import { reach } from './steps.ts'
import type { Via } from './via.ts'

/** What is to be detached: one device, all that a frontend has, or all that is attached. */
export type What =
  | { what: 'device'; backend: QubeName | undefined; selector: Selector; frontend: QubeName | undefined }
  | { what: 'frontend'; frontend: QubeName }
  | { what: 'all' }
  | { what: 'chosen'; attachments: readonly { backend: QubeName; port: Attachment['port'] }[] }

type DetachRequest = What & { dryRun: boolean; via: Via }

type Detached = DetachResult['attachments'][number]

/**
 * Detaches, clean on both sides. One device that fails does not hold up the others.
 * @returns the result, and the first failure for the exit code
 * @throws QusbError when it cannot be told what to detach
 */
export async function detach(
  context: Context,
  request: DetachRequest,
): Promise<{ result: DetachResult; failure: QusbError | undefined }> {
  await context.directory.askEarly()
  if (request.dryRun) return await lookAndDetach(context, request, [])
  const warnings = await settle(context)
  const place = request.what === 'device' ? placeIn(request) : undefined
  const early = await lockEarly(context, { device: place })
  try {
    return await lookAndDetach(
      context,
      request,
      warnings,
      early.device && place && { ...place, lock: early.device },
    )
  } finally {
    early.device?.release()
  }
}

/** A place that is locked already, so that the first look is one under its lock. */
type LockedPlace = DevicePlace & { lock: Lock }

async function lookAndDetach(
  context: Context,
  request: DetachRequest,
  warnings: Warning[],
  locked?: LockedPlace,
): Promise<{ result: DetachResult; failure: QusbError | undefined }> {
  await reach('survey')
  const backends =
    request.what === 'device' && request.backend !== undefined
      ? onlyBackends([request.backend])
      : await findBackends(context)
  // Who has it by the store is looked at with it: if that is so, both sides have been looked at.
  const frontends = locked === undefined ? [] : holdersByStore(context, locked)
  const both = await lookAt(context, [...backends.names, ...frontends], { ...backends, frontends })
  const seen = without(both, frontends)
  if (!request.dryRun)
    warnings.push(...(await reconcile(context, readState(context.site).state.attachments, seen, locked)))
  for (const failure of seen.failures.values()) {
    if (request.what !== 'device' || request.backend === undefined) warnings.push(failureToWarning(failure))
  }
  await reach('choose')
  await requireKnown(context, request, seen)
  const devices = chooseDevices(context, seen, backends.names, request)
  if (request.dryRun) {
    const untouched = devices.map((device) => ({ ...shown(device), changed: false }))
    return { result: asResult(untouched, warnings, devices.flatMap(planOf)), failure: undefined }
  }

  // Devices of one frontend go one after the other, since its controller is one; frontends go side by side.
  const groups = new Map<QubeName | null, Device[]>()
  for (const device of devices)
    groups.set(device.attachedTo, [...(groups.get(device.attachedTo) ?? []), device])
  const ended = await Promise.all(
    [...groups.values()].map((group) =>
      detachInTurn(context, group, {
        warnings,
        via: request.via,
        ...(locked === undefined ? {} : { early: { lock: locked.lock, seen: both } }),
      }),
    ),
  )
  const attachments = ended.flat()
  return {
    result: asResult(
      attachments.map((entry) => entry.detached),
      warnings,
    ),
    failure: attachments.find((entry) => entry.failure !== undefined)?.failure,
  }
}

/** Who has the device at a place by the store's word, as far as it can be looked into. */
function holdersByStore(context: Context, at: DevicePlace): QubeName[] {
  return readState(context.site)
    .state.attachments.filter((record) => placeOf(record) === placeOf(at) && !record.stubdom)
    .map((record) => record.frontend)
    .filter((frontend) => frontend !== at.backend)
}

function without({ surveys, failures, endedAt }: Look, qubes: readonly QubeName[]): Look {
  const others = <T>(map: ReadonlyMap<QubeName, T>): Map<QubeName, T> =>
    new Map([...map].filter(([name]) => !qubes.includes(name)))
  return { surveys: others(surveys), failures: others(failures), endedAt }
}

/** A frontend that is named and has nothing must at least be one. @throws QusbError NOT_FOUND */
async function requireKnown(context: Context, request: DetachRequest, seen: Look): Promise<void> {
  const frontend = request.what === 'device' || request.what === 'frontend' ? request.frontend : undefined
  const holds = [...seen.surveys.values()].some(({ devices }) =>
    devices.some((device) => device.attachedTo === frontend),
  )
  if (frontend === undefined || holds) return
  const absent = await context.directory.whyNotThere(frontend)
  if (absent?.code === 'NOT_FOUND') throw failureToError(absent)
}

function asResult(attachments: Detached[], warnings: Warning[], plan?: PlanStep[]): DetachResult {
  const [only] = attachments
  return {
    schema: 1,
    changed: attachments.some((entry) => entry.changed),
    attachments,
    attachment: attachments.length === 1 && only !== undefined ? only : null,
    ...(plan === undefined ? {} : { plan }),
    warnings,
  }
}

/** @throws QusbError NOT_FOUND, AMBIGUOUS; CONFLICT when the named frontend is not the holder */
function chooseDevices(
  context: Context,
  seen: Look,
  backends: readonly QubeName[],
  request: DetachRequest,
): Device[] {
  const surveys = [...seen.surveys.values()]
  const attached = surveys.flatMap((survey) => survey.devices).filter((device) => device.attachedTo !== null)
  switch (request.what) {
    case 'all':
      return attached
    case 'frontend':
      return attached.filter((device) => device.attachedTo === request.frontend)
    case 'chosen':
      return attached.filter((device) =>
        request.attachments.some((entry) => entry.backend === device.backend && entry.port === device.port),
      )
    case 'device': {
      const [first] = backends
      if (surveys.length === 0 && first !== undefined) surveyOf(seen, first)
      const device = chooseDevice(surveys, request.selector, namingOf(context.site))
      if (
        request.frontend !== undefined &&
        device.attachedTo !== null &&
        device.attachedTo !== request.frontend
      ) {
        throw new QusbError(
          'CONFLICT',
          `${device.backend}:${device.port} (${describeDevice(device)}) is attached to ${device.attachedTo}, not to ${request.frontend}`,
          { hint: `To detach it all the same: qusb detach ${device.backend} ${device.port}` },
        )
      }
      return [device]
    }
  }
}

function planOf(device: Device): PlanStep[] {
  const at = `${device.backend}:${device.port}`
  if (device.attachedTo === null) return [{ step: 'nothing', what: `${at} is not attached` }]
  return [
    { step: 'lock', what: at },
    { step: 'detach', what: `${at} from ${device.attachedTo}, by its USB proxy, else at ${device.backend}` },
    { step: 'return', what: `${device.port} to its driver in ${device.backend}` },
    { step: 'look', what: 'both sides are clean' },
    { step: 'record', what: 'the end of the attachment, in the store' },
  ]
}

interface DetachOptions {
  /** Told what the user should know. */
  warnings: Warning[]
  via: Via
  /** The lock of the one device that is meant, and a look at it that began under that lock. */
  early?: { lock: Lock; seen: Look }
}

interface Ended {
  detached: Detached
  failure: QusbError | undefined
}

async function detachInTurn(
  context: Context,
  devices: readonly Device[],
  options: DetachOptions,
): Promise<Ended[]> {
  const ended: Ended[] = []
  for (const device of devices) {
    try {
      ended.push({ detached: await detachOne(context, device, options), failure: undefined })
    } catch (error) {
      if (!(error instanceof QusbError) || context.signal.aborted) throw error
      ended.push({
        detached: { ...shown(device), changed: false, error: errorToJson(error) },
        failure: error,
      })
    }
    // A detach that was begun is brought to its end: half of one would be worse than either.
    if (context.signal.aborted) throw interruptedAfter(context.signal.reason, device)
  }
  return ended
}

function interruptedAfter(reason: unknown, device: Device): unknown {
  if (!(reason instanceof QusbError)) return reason
  const at = `${device.backend}:${device.port}`
  return new QusbError(
    reason.code,
    `${reason.message}: the detach of ${at} had begun and was finished; no other was begun`,
  )
}

function shown(device: Device, since: string | null = null): Omit<Detached, 'changed'> {
  return {
    backend: device.backend,
    port: device.port,
    frontend: device.attachedTo,
    vendorId: device.vendorId,
    productId: device.productId,
    serial: device.serial,
    description: describeDevice(device),
    since,
  }
}

/** @throws QusbError */
async function detachOne(context: Context, device: Device, options: DetachOptions): Promise<Detached> {
  const lock = options.early?.lock ?? (await lockOrConflict(context, device))
  try {
    return await detachLocked(context, device, options)
  } finally {
    lock.release()
  }
}

/** Ends what a device's frontend has of it. The lock of the device is held. @throws QusbError */
export async function detachLocked(
  context: Context,
  device: Device,
  { warnings, via, early }: DetachOptions,
): Promise<Detached> {
  const running = await requireRunningQubes(context)
  const known = readState(context.site).state.attachments.find(
    (record) =>
      record.backend === device.backend &&
      record.port === device.port &&
      record.frontend === device.attachedTo,
  )
  const frontend = device.attachedTo
  if (frontend === null) return await tidy(context, device, warnings)

  const stubdom = running.get(frontend)?.stubdom ?? false
  const open: AttachmentRecord = {
    ...(known ??
      makeRecord(context, { device, frontend, stubdom, grant: null }, running, {
        phase: 'detaching',
        goal: 'free',
      })),
    phase: 'detaching',
    goal: 'free',
  }
  await reach('write-intent')
  context.signal.throwIfAborted()
  await putRecord(context, open)
  const result = await release(
    context,
    { backend: device.backend, port: device.port, frontend, stubdom },
    via,
    early?.seen,
  )
  await reach('record')
  if (result.end === 'unresolved' && result.refused !== undefined) {
    // Nothing was begun: what stood before stands.
    await withdrawRecord(context, open, known)
    throw result.refused
  }
  if (result.end === 'unresolved') {
    await putRecord(context, { ...open, phase: 'unresolved' })
    throw new QusbError(
      result.code,
      `${device.backend}:${device.port} could not be detached from ${frontend}: ${result.why}`,
      {
        hint: 'The next qusb command tries again.',
      },
    )
  }
  const leftover = result.end === 'leftover'
  await endRecords(context, [{ record: open, what: 'detached', how: null, user: context.user, leftover }])
  if (leftover) {
    warnings.push({
      qube: frontend,
      code: 'LEFTOVER',
      message: `${frontend} does not answer: what it still keeps of ${device.backend}:${device.port} is removed when it answers again`,
      hint: null,
    })
  }
  return { ...shown(device, known?.since ?? null), changed: true }
}

/** Nobody has it. Another tool may have left it on usbip-host, where the backend cannot use it. */
async function tidy(context: Context, device: Device, warnings: Warning[]): Promise<Detached> {
  if (device.driver === 'usbip-host' && device.state === 'free') {
    const { kept: wrong } = await returnToDriver(context, device)
    warnings.push({
      qube: device.backend,
      code: 'GIVEN_BACK',
      message: `${device.backend}:${device.port} was not attached, and another tool had left it without its driver: ${wrong?.why ?? `it is given back to ${device.backend}`}`,
      hint: null,
    })
  }
  const unsure = device.state === 'unknown' && device.toldBy === 'qubesd'
  return { ...shown(device), changed: false, ...(unsure ? { unsure } : {}) }
}
