import { nextTurn } from '../host/turn.ts'
import type { AttachmentRecord } from '../model/attachment.ts'
import type { Device } from '../model/device.ts'
import type { QubeName } from '../model/names.ts'
import { type AttachRequest, chooseForAttach, frontendSurvey, requireFree } from './attach-choice.ts'
import { describeDevice } from './choose.ts'
import type { Context } from './context.ts'
import { requireProxies } from './explain.ts'
import { guardDevice, guardFrontend } from './guards.ts'
import { surveyOf } from './look.ts'
import { type EarlyLocks, lockEarly, lockOrConflict, placeIn } from './place-locks.ts'
import type { Attachment, AttachResult, Warning } from './results.ts'
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
  const settling = request.dryRun ? Promise.resolve(NOTHING_OPEN) : settleDuringLook(context)
  if (request.start && !request.dryRun) {
    const { startFrontend } = await import('./start-frontend.ts')
    await settling
    await startFrontend(context, request)
  }
  const locking = request.dryRun
    ? Promise.resolve(NO_LOCKS)
    : settling.then(() => lockNamed(context, request))
  try {
    return await attachOrPlan(context, request, settling, locking)
  } finally {
    const early = await locking
    early.frontend?.release()
    early.device?.release()
  }
}

/** What an earlier qusb left open. */
interface Settled {
  warnings: Warning[]
  /** Whether it was settled, or somebody tried: then a look that was begun before is out of date. */
  isChanged: boolean
}

const NOTHING_OPEN: Settled = { warnings: [], isChanged: false }

/**
 * Settles what is open in the store. That is read, and its code loaded, while the qubes answer: a process keeps its parent
 * for milliseconds when it starts, so those that look, which take longest, start first.
 */
async function settleDuringLook(context: Context): Promise<Settled> {
  await context.directory.qubes()
  await nextTurn()
  const [{ readState }, { settle }] = await Promise.all([import('../store/store.ts'), import('./settle.ts')])
  const found = readState(context.site)
  const warnings = await settle(context, found)
  const open = found.state.attachments.filter(({ phase }) => phase !== 'attached')
  if (open.length === 0) return { warnings, isChanged: false }
  // What another qusb is at work on is open as before: a storm of attaches need not look twice each.
  const now = readState(context.site).state.attachments
  const isStill = ({ id, phase }: AttachmentRecord): boolean =>
    now.some((record) => record.id === id && record.phase === phase)
  return { warnings, isChanged: warnings.length > 0 || !open.every(isStill) }
}

/** Locks what the words name: after what is open is settled, which may be at the same place. */
async function lockNamed(context: Context, request: AttachRequest): Promise<EarlyLocks> {
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
  settling: Promise<Settled>,
  locking: Promise<EarlyLocks>,
): Promise<AttachResult> {
  const held = locking.then(({ device }) => device && placeIn(request))
  // Why there is none is told by the locking.
  held.catch(() => {})
  const [chosen, settled, early, { attachUnderLock }] = await Promise.all([
    chooseForAttach(context, request, { held, settling }),
    settling,
    locking,
    // Loaded while the qubes answer.
    locking.then(() => import('./attach-transaction.ts')),
  ])
  const warnings = [...settled.warnings, ...chosen.warnings, ...context.directory.warnings()]
  const { device, place } = chosen

  const attachment = await describe(context, device, request.frontend)
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

async function describe(context: Context, device: Device, frontend: QubeName): Promise<Attachment> {
  const { readState } = await import('../store/store.ts')
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
