import { setTimeout as sleep } from 'node:timers/promises'
import { QusbError } from '../errors.ts'
import type { AttachmentRecord } from '../model/attachment.ts'
import type { Device } from '../model/device.ts'
import { formatVidPid } from '../model/identity.ts'
import type { QubeName } from '../model/names.ts'
import type { Selector } from '../model/selector.ts'
import { formatGrant, nameGrant, writeGrant } from '../qubes/grant.ts'
import { findDenyRule } from '../qubes/policy.ts'
import { callAttach } from '../qubes/proxy.ts'
import { listQrexecSockets, type QrexecResult } from '../qubes/qrexec.ts'
import { forgetImport } from '../qubes/root-shell.ts'
import type { QubeSurvey } from '../qubes/survey.ts'
import type { Lock } from '../store/lock.ts'
import { lockDevice, lockFrontend } from '../store/place-lock.ts'
import { readState } from '../store/store.ts'
import { findBackends } from './backends.ts'
import { chooseDevice, describeDevice } from './choose.ts'
import type { Context } from './context.ts'
import { explainFailure, isSame, requireFreePort, requireProxies } from './explain.ts'
import { attachWarnings, guardDevice, guardFrontend, guardsAgainst } from './guards.ts'
import { endRecords, eventOf, makeRecord, putRecord, tell } from './journal.ts'
import { deviceAt, type Look, lookAt, surveyOf, warningsOf } from './look.ts'
import { reconcile } from './reconcile.ts'
import { type Place, release } from './release.ts'
import type { Attachment, AttachResult, PlanStep, Warning } from './results.ts'
import { settle } from './settle.ts'
import { reach } from './steps.ts'

export interface AttachRequest {
  /** Where to look; undefined: wherever the selector finds it. */
  backend: QubeName | undefined
  selector: Selector
  frontend: QubeName
  /** Past the guards that can be forced. */
  force: boolean
  /** Only say what would be done. */
  dryRun: boolean
  /** For the call of the service, ms. */
  timeoutMs: number
}

/** What has been chosen, before anything is done. */
interface Chosen {
  device: Device
  place: Place
  seen: Look
  warnings: Warning[]
}

/**
 * Attaches one device: a transaction, told in DESIGN.md and in `steps.ts`. On any failure, and on the user's interrupt,
 * what was begun is undone; what cannot be undone is `unresolved` in the store and said so.
 * @throws QusbError
 */
export async function attach(context: Context, request: AttachRequest): Promise<AttachResult> {
  if (request.backend !== undefined) guardFrontend(request.backend, request.frontend)
  const settled = request.dryRun ? [] : await settle(context)
  const chosen = await choose(context, request)
  const warnings = [...settled, ...chosen.warnings]
  const { device, place } = chosen

  if (device.attachedTo === request.frontend) {
    return { schema: 1, changed: false, attachment: describe(context, device, request.frontend), warnings }
  }
  requireFree(device)
  if (request.dryRun) {
    return {
      schema: 1,
      changed: false,
      attachment: describe(context, device, request.frontend),
      plan: plan(chosen, request),
      warnings,
    }
  }
  guardDevice(device, request.force)
  requireProxies(surveyOf(chosen.seen, place.backend), frontendSurvey(chosen))

  const locks: Lock[] = []
  try {
    await reach('lock-device')
    locks.push(await lockOrConflict(context, place))
    await reach('lock-frontend')
    locks.push(await lockFrontendInTime(context, place.frontend, request.timeoutMs))
    const now = await lookAgainUnderLock(context, chosen)
    requireFreePort(now.device, frontendSurvey(now))
    await requireNoDenyRule(context, place)
    await reach('clear-stale')
    await clearStale(context, now)
    const record = await attachLocked(context, request, now)
    return { schema: 1, changed: true, attachment: attachmentOf(record), warnings }
  } finally {
    for (const lock of locks.reverse()) lock.release()
  }
}

/** Surveys, chooses and checks; nothing is changed. */
async function choose(context: Context, request: AttachRequest): Promise<Chosen> {
  await reach('survey')
  const { site } = context
  const sockets = listQrexecSockets(site)
  const backends = request.backend === undefined ? findBackends(context).names : [request.backend]
  const stubdom = sockets.get(request.frontend)?.stubdom ?? false
  const qubes = new Set(backends)
  if (!stubdom) qubes.add(request.frontend)
  context.progress(`looking at ${[...qubes].join(', ')}`)
  const seen = await lookAt(context, qubes)
  if (request.backend !== undefined) surveyOf(seen, request.backend)

  await reach('choose')
  const surveys = backends.flatMap((name) => seen.surveys.get(name) ?? [])
  const [first] = backends
  if (surveys.length === 0 && first !== undefined) surveyOf(seen, first)
  const device = chooseDevice(surveys, request.selector)
  guardFrontend(device.backend, request.frontend)
  if (!sockets.has(request.frontend)) {
    throw new QusbError('NOT_RUNNING', `${request.frontend} is not running, or there is no such qube`, {
      hint: `Start it: qvm-start ${request.frontend}`,
    })
  }
  if (!stubdom) surveyOf(seen, request.frontend)
  const survey = surveyOf(seen, device.backend)
  const place = { backend: device.backend, port: device.port, frontend: request.frontend, stubdom }
  const ended = request.dryRun
    ? []
    : await reconcile(context, readState(site).state.attachments, {
        surveys: new Map([[device.backend, survey]]),
        failures: new Map(),
      })
  return {
    device,
    place,
    seen,
    warnings: [...ended, ...warningsOf(survey), ...attachWarnings(device, survey)],
  }
}

function frontendSurvey(chosen: Pick<Chosen, 'seen' | 'place'>): QubeSurvey | null {
  return chosen.place.stubdom ? null : surveyOf(chosen.seen, chosen.place.frontend)
}

/** @throws QusbError CONFLICT when somebody has it, or nobody can say who */
function requireFree(device: Device): void {
  const at = `${device.backend}:${device.port}`
  if (device.attachedTo !== null) {
    throw new QusbError('CONFLICT', `${at} (${describeDevice(device)}) is attached to ${device.attachedTo}`, {
      hint: `Detach it first: qusb detach ${device.backend} ${device.port}`,
    })
  }
  if (device.state === 'unknown') {
    throw new QusbError(
      'CONFLICT',
      `${device.backend} names a holder of ${device.port} that cannot be, or has not let go of it yet`,
      {
        hint: `Wait a moment; if it stays so, look at ${device.backend} itself.`,
      },
    )
  }
}

async function lockOrConflict(context: Context, place: Place): Promise<Lock> {
  const lock = await lockDevice(context.site, place, { waitMs: 0, signal: context.signal })
  if ('release' in lock) return lock
  throw new QusbError('CONFLICT', `another qusb is at work on ${place.backend}:${place.port}`, {
    hint:
      lock.holder === null
        ? 'Try again in a moment.'
        : `It is process ${lock.holder}; try again in a moment.`,
  })
}

/** Attaches to one frontend go one after the other: its proxy picks a free port of the controller without a lock. */
async function lockFrontendInTime(context: Context, frontend: QubeName, timeoutMs: number): Promise<Lock> {
  const lock = await lockFrontend(context.site, frontend, { waitMs: timeoutMs, signal: context.signal })
  if ('release' in lock) return lock
  throw new QusbError(
    'TIMEOUT',
    `other attaches to ${frontend} did not finish within ${timeoutMs / 1000} s`,
    {
      hint: 'Try again.',
    },
  )
}

/** What was chosen may have changed while the locks were waited for. @throws QusbError CONFLICT, NOT_FOUND */
async function lookAgainUnderLock(context: Context, chosen: Chosen): Promise<Chosen> {
  const { place } = chosen
  const seen = await lookAt(context, place.stubdom ? [place.backend] : [place.backend, place.frontend])
  const device = deviceAt(surveyOf(seen, place.backend), place.port)
  if (device === undefined || !isSame(device, chosen.device)) {
    throw new QusbError('NOT_FOUND', `${place.backend}:${place.port} was unplugged meanwhile`, {
      hint: `See what is there: qusb list ${place.backend}`,
    })
  }
  requireFree(device)
  return { ...chosen, seen, device }
}

/** A rule of the user's counts, also one that the grant would beat by its name. @throws QusbError REFUSED */
async function requireNoDenyRule(context: Context, place: Place): Promise<void> {
  const rule = await findDenyRule(context.site, { ...place, caller: callerOf(place) })
  if (rule === undefined) return
  throw new QusbError(
    'REFUSED',
    `a rule of yours denies ${place.frontend} the device ${place.backend}:${place.port}: ${rule.file}, line ${rule.line}`,
    { hint: 'Change that rule if it should be allowed.' },
  )
}

/** Who calls the backend: the frontend, or its stub domain. */
function callerOf(place: Place): QubeName | `${QubeName}-dm` {
  return place.stubdom ? `${place.frontend}-dm` : place.frontend
}

/**
 * Removes from the frontend what an earlier attach of this very place left there: its service would take it for
 * an attachment and fail without a word. The backend has just said that nobody has the device.
 */
async function clearStale(context: Context, chosen: Chosen): Promise<void> {
  const survey = frontendSurvey(chosen)
  const { backend, port, frontend } = chosen.place
  const isOurs = (entry: { backend: QubeName; port: string }): boolean =>
    entry.backend === backend && entry.port === port
  if (survey?.pendingImports.some(isOurs) === true) {
    throw new QusbError('CONFLICT', `another program is attaching ${backend}:${port} to ${frontend}`, {
      hint: 'Try again in a moment.',
    })
  }
  if (survey?.stateFiles.some(isOurs) === true) {
    await forgetImport(context.site, frontend, backend, port)
    context.signal.throwIfAborted()
  }
}

/** Under both locks: intent, grant, call, revoke, look, record. */
async function attachLocked(
  context: Context,
  request: AttachRequest,
  chosen: Chosen,
): Promise<AttachmentRecord> {
  const { device, place } = chosen
  const { site } = context
  const caller = callerOf(place)
  const grant = nameGrant()
  const intent = makeRecord(
    context,
    { device, frontend: place.frontend, stubdom: place.stubdom, grant },
    listQrexecSockets(site),
    {
      phase: 'attaching',
      goal: 'attached',
    },
  )
  await reach('write-intent')
  context.signal.throwIfAborted()
  await putRecord(context, intent)
  try {
    await reach('grant')
    context.signal.throwIfAborted()
    const lifetime = request.timeoutMs / 1000 + 2
    const revoke = await writeGrant(site, {
      name: grant,
      backend: place.backend,
      port: place.port,
      caller,
      lifetime,
    })
    let result: QrexecResult
    try {
      await reach('call-attach')
      context.signal.throwIfAborted()
      context.progress(`attaching ${place.backend}:${place.port} to ${place.frontend}`)
      result = await callHeedingSignal(context, { caller, place, timeoutMs: request.timeoutMs, revoke })
    } finally {
      await reach('revoke')
      revoke()
    }
    context.signal.throwIfAborted()
    await reach('look-again')
    await verify(context, chosen, result, request.timeoutMs)
    await reach('record')
    context.signal.throwIfAborted()
    const record: AttachmentRecord = {
      ...intent,
      phase: 'attached',
      grant: null,
      since: new Date().toISOString(),
    }
    await putRecord(context, record)
    await tell(context, [eventOf(context, record, { what: 'attached', how: null, user: context.user })])
    return record
  } catch (error) {
    throw await undo(context, intent, place, error)
  }
}

/**
 * Calls the service. The user's interrupt revokes the grant at once and gives the attach the time to settle: neither
 * the death of the client nor a revoked grant cancels one (FACTS section 3), so what is left then is for `undo`.
 */
async function callHeedingSignal(
  context: Context,
  call: { caller: QubeName | `${QubeName}-dm`; place: Place; timeoutMs: number; revoke: () => void },
): Promise<QrexecResult> {
  const { signal } = context
  const running = callAttach(context.site, { ...call.place, caller: call.caller, timeoutMs: call.timeoutMs })
  let onAbort = (): void => {}
  const interrupted = new Promise<'interrupted'>((resolve) => {
    onAbort = () => {
      call.revoke()
      resolve('interrupted')
    }
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
  })
  try {
    const first = await Promise.race([running, interrupted])
    if (first !== 'interrupted') return first
    await Promise.race([running, sleep(7000, undefined, { ref: true })])
    throw signal.reason
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** How long the backend may take to say what the service's end has promised, ms. */
const SHOW_MS = 3000

/**
 * Looks whether the device that was chosen, and no other, is now with the frontend, whatever the call's exit code was.
 * @throws QusbError CONFLICT when another device came through; else why the attach failed
 */
async function verify(
  context: Context,
  chosen: Chosen,
  result: QrexecResult,
  timeoutMs: number,
): Promise<void> {
  const { place, device } = chosen
  const deadline = Date.now() + SHOW_MS
  for (;;) {
    const seen = await lookAt(context, place.stubdom ? [place.backend] : [place.backend, place.frontend])
    const now = deviceAt(seen.surveys.get(place.backend), place.port)
    if (now?.attachedTo === place.frontend) {
      if (!isSame(now, device)) throw swapped(place, formatVidPid(now))
      if (place.stubdom || isInFrontend(chosen, seen)) return
    }
    const mayShowYet =
      result.end === 'exit' &&
      result.exitCode === 0 &&
      [null, place.frontend].includes(now?.attachedTo ?? null) &&
      !seen.failures.has(place.frontend)
    if (!mayShowYet || now === undefined || Date.now() > deadline) {
      throw explainFailure(device, place.frontend, result, seen, timeoutMs)
    }
    await sleep(100)
  }
}

/**
 * Whether the frontend has enumerated what was chosen: the backend's word alone may be late, or a lie.
 * @throws QusbError CONFLICT when it enumerated another device
 */
function isInFrontend(chosen: Chosen, seen: Look): boolean {
  const { device, place } = chosen
  const imported = seen.surveys
    .get(place.frontend)
    ?.imports.find((entry) => entry.remoteBusnum === device.busnum && entry.remoteDevnum === device.devnum)
  if (imported === undefined) return false
  const sameSerial = imported.serial === device.serial || imported.serialUnsafe || device.serialUnsafe
  if (imported.vendorId !== device.vendorId || imported.productId !== device.productId || !sameSerial) {
    throw swapped(place, formatVidPid(imported))
  }
  return true
}

function swapped(place: Place, what: string): QusbError {
  return new QusbError(
    'CONFLICT',
    `${place.backend}:${place.port} became another device (${what}) while it was being attached: ${place.frontend} was exposed to it for a moment`,
    { hint: `Look at ${place.backend}: a device that changes what it is may be hostile.` },
  )
}

/** Ends what was begun clean on both sides, and says so where it cannot. @returns the error to throw */
async function undo(
  context: Context,
  intent: AttachmentRecord,
  place: Place,
  cause: unknown,
): Promise<unknown> {
  const how = cause instanceof QusbError ? cause.code : 'INTERNAL'
  const undone = await release(context, place)
  if (undone.end === 'clean') {
    await endRecords(context, [{ record: intent, what: 'failed', how, user: context.user }])
    return cause
  }
  if (undone.end === 'leftover') {
    await putRecord(context, { ...intent, phase: 'leftover', goal: 'free', grant: null })
    return cause
  }
  await putRecord(context, { ...intent, phase: 'unresolved', goal: 'free', grant: null })
  if (!(cause instanceof QusbError)) return cause
  return new QusbError(cause.code, `${cause.message}; it could NOT be undone yet: ${undone.why}`, {
    hint: 'The next qusb command tries again.',
    ...(cause.detail === undefined ? {} : { detail: cause.detail }),
    cause,
  })
}

/** What --dry-run prints. */
function plan(chosen: Chosen, request: AttachRequest): PlanStep[] {
  const { device, place } = chosen
  const caller = callerOf(place)
  const reasons = guardsAgainst(device)
  return [
    ...reasons.map((reason) => ({ step: request.force ? 'forced' : 'refused', what: reason })),
    { step: 'lock', what: `${place.backend}:${place.port}, then ${place.frontend}` },
    { step: 'grant', what: formatGrant({ ...place, caller }).trim() },
    { step: 'call', what: `qubes.USBAttach in ${caller}, as root: ${place.backend} ${place.port}` },
    { step: 'revoke', what: 'the grant' },
    {
      step: 'look',
      what: `${place.backend} says that ${place.frontend} has ${formatVidPid(device)} ${describeDevice(device)}`,
    },
    { step: 'record', what: 'the attachment, in the store' },
  ]
}

function attachmentOf(record: AttachmentRecord): Attachment {
  return {
    backend: record.backend,
    port: record.port,
    frontend: record.frontend,
    vendorId: record.device.vendorId,
    productId: record.device.productId,
    serial: record.device.serial,
    description: record.device.description,
    since: record.since,
  }
}

function describe(context: Context, device: Device, frontend: QubeName): Attachment {
  const record = readState(context.site).state.attachments.find(
    (entry) =>
      entry.phase === 'attached' &&
      entry.backend === device.backend &&
      entry.port === device.port &&
      entry.frontend === frontend,
  )
  return {
    backend: device.backend,
    port: device.port,
    frontend,
    vendorId: device.vendorId,
    productId: device.productId,
    serial: device.serial,
    description: describeDevice(device),
    since: record?.since ?? null,
  }
}
