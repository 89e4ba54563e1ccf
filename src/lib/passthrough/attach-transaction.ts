import { setTimeout as sleep } from 'node:timers/promises'
import { QusbError } from '../errors.ts'
import type { AttachmentRecord } from '../model/attachment.ts'
import type { QubeName } from '../model/names.ts'
import { nameGrant, type PreparedGrant, prepareGrant } from '../qubes/grant.ts'
import { findDenyRule } from '../qubes/policy.ts'
import { callAttach } from '../qubes/proxy.ts'
import type { QrexecResult } from '../qubes/qrexec.ts'
import { forgetImport } from '../qubes/root-shell.ts'
import type { Lock } from '../store/lock.ts'
import { type AttachRequest, type Chosen, callerOf, importsOf, lookAgainUnderLock } from './attach-choice.ts'
import type { Context } from './context.ts'
import { requireNotDenied } from './deny-list.ts'
import { requireExportSlot } from './explain.ts'
import { requireFreePort } from './free-port.ts'
import { endRecords, eventOf, makeRecord, putRecord, standing } from './journal.ts'
import { surveyOf } from './look.ts'
import { lockFrontendInTime } from './place-locks.ts'
import { type Place, release } from './release.ts'
import { findRunningQubes, requireRunningQubes } from './running-qubes.ts'
import { reach } from './steps.ts'
import { verifyAttach } from './verify.ts'

/**
 * Attaches what was chosen. The lock of the device is held; the frontend's is taken here.
 * @param early the frontend's, where it is held already: it is given back here
 * @throws QusbError
 */
export async function attachUnderLock(
  context: Context,
  request: AttachRequest,
  chosen: Chosen,
  early?: Lock,
): Promise<AttachmentRecord> {
  const lock = early ?? (await lockFrontendInTime(context, chosen.place.frontend, request.timeoutMs))
  try {
    const now = await lookAgainUnderLock(context, chosen)
    await requireAllowed(context, now)
    await reach('clear-stale')
    await clearStale(context, now)
    return await attachLocked(context, request, now)
  } finally {
    lock.release()
  }
}

/** What speaks against the attach and can be known beforehand. @throws QusbError */
export async function requireAllowed(context: Context, chosen: Chosen): Promise<void> {
  const { device, place } = chosen
  requireFreePort(device, place.frontend, importsOf(chosen))
  requireExportSlot(device, surveyOf(chosen.seen, place.backend))
  await Promise.all([requireNoDenyRule(context, place), requireNotDenied(place, device, chosen.denied)])
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

/**
 * Removes from the frontend what an earlier attach of this very place left there: its service would take it for
 * an attachment and fail without a word. The backend has just said that nobody has the device.
 */
async function clearStale(context: Context, chosen: Chosen): Promise<void> {
  const { backend, port, frontend } = chosen.place
  const facts = importsOf(chosen)
  const isOurs = (entry: { backend: QubeName; port: string }): boolean =>
    entry.backend === backend && entry.port === port
  if (facts?.pendingImports.some(isOurs) === true) {
    throw new QusbError('CONFLICT', `another program is attaching ${backend}:${port} to ${frontend}`, {
      hint: 'Try again in a moment.',
    })
  }
  if (facts?.stateFiles.some(isOurs) === true) {
    await forgetImport(context.site, frontend, backend, port)
    context.signal.throwIfAborted()
  }
}

const NO_GRANT: PreparedGrant = { write: () => {}, revoke: () => {} }

/** Under both locks: intent, grant, call, revoke, look, record. */
async function attachLocked(
  context: Context,
  request: AttachRequest,
  chosen: Chosen,
): Promise<AttachmentRecord> {
  const { device, place } = chosen
  const { site } = context
  const caller = callerOf(place)
  // qubesd sets a policy line of its own.
  const grant = request.via === 'admin' ? null : nameGrant()
  const intent = makeRecord(
    context,
    { device, frontend: place.frontend, stubdom: place.stubdom, grant },
    await requireRunningQubes(context),
    {
      phase: 'attaching',
      goal: 'attached',
    },
  )
  await reach('write-intent')
  context.signal.throwIfAborted()
  const { backend, port } = place
  const lifetime = request.timeoutMs / 1000 + 2
  // Each starts a process.
  const [written, prepared] = await Promise.allSettled([
    putRecord(context, intent),
    grant === null ? NO_GRANT : prepareGrant(site, { name: grant, backend, port, caller, lifetime }),
  ])
  const revoke = prepared.status === 'fulfilled' ? prepared.value.revoke : () => {}
  if (written.status === 'rejected') {
    revoke()
    throw written.reason
  }
  try {
    let result: QrexecResult
    try {
      if (prepared.status === 'rejected') throw prepared.reason
      await reach('grant')
      context.signal.throwIfAborted()
      prepared.value.write()
      await reach('call-attach')
      context.signal.throwIfAborted()
      context.progress(`attaching ${place.backend}:${place.port} to ${place.frontend}`)
      const { timeoutMs } = request
      const running =
        request.via === 'admin'
          ? (await import('../qubes/admin/usb.ts')).attachByAdmin(site, { ...place, device, timeoutMs })
          : callAttach(site, { ...place, caller, timeoutMs })
      result = await heedSignal(context, running, revoke)
    } finally {
      await reach('revoke')
      revoke()
    }
    context.signal.throwIfAborted()
    await reach('look-again')
    await verifyAttach(context, chosen, result, request.timeoutMs)
    await reach('record')
    context.signal.throwIfAborted()
    const record = {
      ...standing(intent, await findRunningQubes(context)),
      since: new Date().toISOString(),
    }
    await putRecord(context, record, [
      eventOf(context, record, { what: 'attached', how: null, user: context.user }),
    ])
    return record
  } catch (error) {
    throw await undo(context, intent, place, error)
  }
}

/**
 * Waits for the call. The user's interrupt revokes the grant at once and gives the attach the time to settle: neither
 * the death of the client nor a revoked grant cancels one (docs/facts.md#pending-attaches), so what is left then is for
 * `undo`.
 */
async function heedSignal(
  context: Context,
  running: Promise<QrexecResult>,
  revoke: () => void,
): Promise<QrexecResult> {
  const { signal } = context
  let onAbort = (): void => {}
  const interrupted = new Promise<'interrupted'>((resolve) => {
    onAbort = () => {
      revoke()
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
