import type { AttachmentRecord } from '../model/attachment.ts'
import { isSame } from '../model/device.ts'
import { removeLeftGrant } from '../qubes/grant.ts'
import { readMoment } from '../site/moment.ts'
import { lockDevice } from '../store/place-lock.ts'
import { readState } from '../store/store.ts'
import type { Context } from './context.ts'
import { endRecords, eventOf, putRecord, standing } from './journal.ts'
import { deviceAt, frontendFacts, type Look, lookAt } from './look.ts'
import { endingOf } from './reconcile.ts'
import { release } from './release.ts'
import type { Warning } from './results.ts'
import { findRunningQubes } from './running-qubes.ts'

/** Brings one open record of the store to an end, unless somebody is at work on it: see settle. */
export async function settleRecord(context: Context, id: string, seen: AttachmentRecord): Promise<Warning[]> {
  const lock = await lockDevice(context.site, seen, { waitMs: 0 })
  // Somebody is at work on it: it is theirs to end.
  if (!('release' in lock)) return []
  try {
    // Only what the store says under the lock counts: the owner may have ended it while we came.
    const record = readState(context.site).state.attachments.find((entry) => entry.id === id)
    if (record === undefined || record.phase === 'attached' || record.phase === 'leftover') return []
    if (record.grant !== null) removeLeftGrant(context.site, record.grant)
    return await settleLocked(context, record)
  } finally {
    lock.release()
  }
}

/** The device's lock is held, and the record is open. */
async function settleLocked(context: Context, record: AttachmentRecord): Promise<Warning[]> {
  context.progress(`settling what was left open: ${record.backend}:${record.port} and ${record.frontend}`)
  const running = await findRunningQubes(context)
  if (running === undefined) return [say(record, 'UNRESOLVED', context.directory.whyUnknown().message)]
  const qubes = [record.backend, record.frontend].filter((qube) => running.has(qube))
  const look = await lookAt(context, qubes, { frontends: [record.frontend] })
  const ending = endingOf(record, look, running, readMoment(context.site))

  if (record.phase === 'attaching' && record.goal === 'attached' && cameThrough(record, look)) {
    await putRecord(context, standing(record, await findRunningQubes(context)), [
      eventOf(context, record, { what: 'attached', how: 'settled', user: record.by.user }),
    ])
    return [say(record, 'SETTLED', `the attach to ${record.frontend} that was interrupted had come through`)]
  }
  if (ending === 'reboot') {
    await endRecords(context, [{ record, what: 'ended', how: 'reboot', user: null }])
    return [say(record, 'SETTLED', 'what was left open ended with the last boot')]
  }
  const result = await release(context, record)
  if (result.end === 'clean') {
    const what = record.phase === 'attaching' ? 'failed' : 'detached'
    await endRecords(context, [{ record, what, how: 'settled', user: record.by.user }])
    return [
      say(record, 'SETTLED', `what was left open with ${record.frontend} is undone: the device is free`),
    ]
  }
  if (result.end === 'leftover') {
    await putRecord(context, { ...record, phase: 'leftover', grant: null })
    return []
  }
  if (record.phase !== 'unresolved') {
    await putRecord(context, { ...record, phase: 'unresolved', goal: 'free', grant: null })
  }
  return [say(record, 'UNRESOLVED', `an operation with ${record.frontend} is still open: ${result.why}`)]
}

/** Whether the attach did what was meant: this device, at this place, with this frontend. */
function cameThrough(record: AttachmentRecord, look: Look): boolean {
  const device = deviceAt(look.surveys.get(record.backend), record.port)
  const pending = frontendFacts(look, record.frontend)?.pendingImports.some(
    (entry) => entry.backend === record.backend && entry.port === record.port,
  )
  return (
    device !== undefined &&
    pending !== true &&
    device.attachedTo === record.frontend &&
    isSame(device, record.device)
  )
}

function say(record: AttachmentRecord, code: string, message: string): Warning {
  return { qube: record.backend, code, message: `${record.backend}:${record.port}: ${message}`, hint: null }
}
