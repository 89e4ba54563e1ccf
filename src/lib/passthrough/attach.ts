import { nextTurn } from '../host/turn.ts'
import type { AttachmentRecord } from '../model/attachment.ts'
import type { Device } from '../model/device.ts'
import type { QubeName } from '../model/names.ts'
import { readState } from '../store/store.ts'
import { type AttachRequest, chooseForAttach, frontendSurvey, requireFree } from './attach-choice.ts'
import { describeDevice } from './choose.ts'
import type { Context } from './context.ts'
import { requireProxies } from './explain.ts'
import { guardDevice, guardFrontend } from './guards.ts'
import { surveyOf } from './look.ts'
import { type EarlyLocks, lockEarly, lockOrConflict, placeIn } from './place-locks.ts'
import type { Attachment, AttachResult, Warning } from './results.ts'
import { settle } from './settle.ts'
import { viaFrom } from './via.ts'

/**
 * Attaches one device: a transaction, told in docs/architecture.md and in `steps.ts`. On any failure, and on the user's
 * interrupt, what was begun is undone; what cannot be undone is `unresolved` in the store and said so.
 * @throws QusbError
 */
export async function attach(context: Context, asked: AttachRequest): Promise<AttachResult> {
  const request = { ...asked, via: viaFrom(context.site, asked.via) }
  if (request.backend !== undefined) guardFrontend(request.backend, request.frontend)
  await context.directory.askEarly()
  const settled = request.dryRun ? [] : await settle(context)
  if (request.start && !request.dryRun) {
    const { startFrontend } = await import('./start-frontend.ts')
    await startFrontend(context, request)
  }
  const locking = request.dryRun ? Promise.resolve(NO_LOCKS) : lockDuringLook(context, request)
  try {
    return await attachOrPlan(context, request, settled, locking)
  } finally {
    const early = await locking
    early.frontend?.release()
    early.device?.release()
  }
}

/** A process keeps its parent for milliseconds when it starts, so those that look, which take longest, start first. */
async function lockDuringLook(context: Context, request: AttachRequest): Promise<EarlyLocks> {
  await context.directory.qubes()
  await nextTurn()
  return await lockEarly(context, {
    device: placeIn(request),
    // A move may have to wait for the lock of the other frontend, and must not hold this one then.
    frontend: request.replace ? undefined : request.frontend,
  })
}

const NO_LOCKS: EarlyLocks = { device: undefined, frontend: undefined }

async function attachOrPlan(
  context: Context,
  request: AttachRequest,
  settled: Warning[],
  locking: Promise<EarlyLocks>,
): Promise<AttachResult> {
  const held = locking.then(({ device }) => device && placeIn(request))
  const [chosen, early, { attachUnderLock }] = await Promise.all([
    chooseForAttach(context, request, held),
    locking,
    // Loaded while the qubes answer.
    locking.then(() => import('./attach-transaction.ts')),
  ])
  const warnings = [...settled, ...chosen.warnings, ...context.directory.warnings()]
  const { device, place } = chosen

  const attachment = describe(context, device, request.frontend)
  const untouched = { schema: 1 as const, changed: false, attachment, from: null, warnings }
  if (device.attachedTo === request.frontend) return untouched
  const from = request.replace ? device.attachedTo : null
  if (from === null) requireFree(device, request.frontend)
  if (request.dryRun) {
    const { planAttach } = await import('./attach-plan.ts')
    return { ...untouched, from, plan: planAttach(chosen, request) }
  }
  guardDevice(device, request.force)
  requireProxies(surveyOf(chosen.seen, place.backend), frontendSurvey(chosen))

  const lock = early.device ?? (await lockOrConflict(context, place))
  try {
    const record =
      from === null
        ? await attachUnderLock(context, request, chosen, early.frontend)
        : await (await import('./move.ts')).moveUnderLock(context, request, { chosen, from, warnings })
    return { schema: 1, changed: true, attachment: attachmentOf(record), from, warnings }
  } finally {
    lock.release()
  }
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
