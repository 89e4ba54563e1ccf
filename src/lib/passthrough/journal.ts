import { type AttachmentRecord, placeOf } from '../model/attachment.ts'
import type { Device } from '../model/device.ts'
import type { HistoryEvent } from '../model/event.ts'
import type { QubeName } from '../model/names.ts'
import { readMoment } from '../site/moment.ts'
import { randomHex } from '../site/random.ts'
import { prepareHistory } from '../store/history.ts'
import { updateState } from '../store/store.ts'
import { describeDevice } from './choose.ts'
import type { Context } from './context.ts'
import type { RunningQubes } from './running-qubes.ts'

/** A record for a device that is about to be attached, or was found attached and is about to be detached. */
export function makeRecord(
  context: Context,
  at: { device: Device; frontend: QubeName; stubdom: boolean; grant: string | null },
  running: RunningQubes,
  intent: Pick<AttachmentRecord, 'phase' | 'goal'>,
): AttachmentRecord {
  const { device } = at
  const moment = readMoment(context.site)
  return {
    id: randomHex(8),
    backend: device.backend,
    port: device.port,
    frontend: at.frontend,
    stubdom: at.stubdom,
    device: {
      vendorId: device.vendorId,
      productId: device.productId,
      serial: device.serial,
      interfaces: device.interfaces,
      busnum: device.busnum,
      devnum: device.devnum,
      description: describeDevice(device),
    },
    ...intent,
    since: moment.now,
    by: { user: context.user, pid: process.pid, rule: context.rule ?? null },
    grant: at.grant,
    bootId: moment.bootId,
    slept: moment.slept,
    ...domainsOf({ backend: device.backend, frontend: at.frontend }, running),
  }
}

/**
 * A record of an attachment that was seen to stand.
 * @param running as read after that, where somebody knows: a qube that was restarted since the intent was written ends no
 *   attachment
 */
export function standing(record: AttachmentRecord, running: RunningQubes | undefined): AttachmentRecord {
  return {
    ...record,
    phase: 'attached',
    grant: null,
    ...(running === undefined ? {} : domainsOf(record, running)),
  }
}

function domainsOf(
  { backend, frontend }: Pick<AttachmentRecord, 'backend' | 'frontend'>,
  running: RunningQubes,
): Pick<AttachmentRecord, 'backendDomain' | 'frontendDomain'> {
  return {
    backendDomain: running.get(backend)?.domainId ?? null,
    frontendDomain: running.get(frontend)?.domainId ?? null,
  }
}

/**
 * Writes a record: in place of the one with its id, and of a finished one of the same device's place.
 * @param events what the history is told with it
 */
export async function putRecord(
  context: Context,
  record: AttachmentRecord,
  events: readonly HistoryEvent[] = [],
): Promise<void> {
  await updateState(
    context.site,
    (records) => [
      ...records.filter(
        (other) =>
          other.id !== record.id && !(placeOf(other) === placeOf(record) && other.phase === 'attached'),
      ),
      record,
    ],
    { afterwards: prepareHistory(context.site, context.config.history, events) },
  )
}

/** Takes an intent back that nothing came of. @param before what was in its place, if anything */
export async function withdrawRecord(
  context: Context,
  intent: AttachmentRecord,
  before: AttachmentRecord | undefined,
): Promise<void> {
  await updateState(context.site, (records) => [
    ...records.filter((record) => record.id !== intent.id),
    ...(before === undefined ? [] : [before]),
  ])
}

/**
 * Ends records, and tells the history how each ended. They leave the store, unless what the frontend may still keep of
 * one is yet to be removed.
 * @param options.phase who holds no lock of the device ends, and tells of, only those that are in this phase still:
 *   another qusb may have ended one meanwhile, or have begun to
 * @returns those that were ended
 */
export async function endRecords<End extends RecordEnd>(
  context: Context,
  ends: readonly End[],
  { phase }: { phase?: AttachmentRecord['phase'] } = {},
): Promise<readonly End[]> {
  if (ends.length === 0) return []
  let ended = ends
  await updateState(
    context.site,
    (records) => {
      const there = new Map(records.map((record) => [record.id, record]))
      if (phase !== undefined) ended = ends.filter(({ record }) => there.get(record.id)?.phase === phase)
      const leftovers = new Map(ended.map(({ record, leftover }) => [record.id, leftover ?? false]))
      if (!records.some((record) => leftovers.has(record.id))) return records
      return records.flatMap((record) => {
        if (!leftovers.has(record.id)) return [record]
        return leftovers.get(record.id)
          ? [{ ...record, phase: 'leftover' as const, goal: 'free' as const, grant: null }]
          : []
      })
    },
    {
      afterwards: () => {
        const events = ended.map((end) => eventOf(context, end.record, end))
        prepareHistory(context.site, context.config.history, events)?.()
      },
    },
  )
  return ended
}

/** How a record ends. */
interface RecordEnd {
  record: AttachmentRecord
  what: HistoryEvent['what']
  how: string | null
  user: string | null
  /** The frontend may still keep something of it. */
  leftover?: boolean
}

/** What the history keeps of a record. */
export function eventOf(
  context: Context,
  record: AttachmentRecord,
  event: Pick<HistoryEvent, 'what' | 'how' | 'user'>,
): HistoryEvent {
  return {
    at: readMoment(context.site).now,
    what: event.what,
    backend: record.backend,
    port: record.port,
    frontend: record.frontend,
    vendorId: record.device.vendorId,
    productId: record.device.productId,
    serial: record.device.serial,
    description: record.device.description,
    user: event.user,
    rule: record.by.rule,
    how: event.how,
  }
}
