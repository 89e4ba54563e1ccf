import type { AttachmentRecord } from '../model/attachment.ts'
import { isSame } from '../model/device.ts'
import type { QrexecSocket } from '../qubes/qrexec.ts'
import { type Moment, readMoment } from '../site/moment.ts'
import type { Context } from './context.ts'
import { deviceAt, type Look, lookAt } from './look.ts'
import type { DevicePlace } from './place-locks.ts'
import type { Warning } from './results.ts'
import { findRunningQubes, type RunningQubes } from './running-qubes.ts'

/** How an attachment ended without qusb. */
export type Ending = 'reboot' | 'restart' | 'suspend' | 'unplug' | 'other-tool'

/**
 * Whether an attachment that the store believes in is over, by what is seen now. Pure.
 * @returns null while it stands, or while its backend cannot be asked
 */
export function endingOf(
  record: AttachmentRecord,
  seen: Pick<Look, 'surveys'>,
  running: RunningQubes,
  moment: Moment,
): Ending | null {
  if (record.bootId !== moment.bootId) return 'reboot'
  if (hasRestarted(record.backendDomain, running.get(record.backend))) return 'restart'
  if (hasRestarted(record.frontendDomain, running.get(record.frontend))) return 'restart'
  const survey = seen.surveys.get(record.backend)
  if (survey === undefined) return null
  const device = deviceAt(survey, record.port)
  if (device === undefined || !isSame(device, record.device)) {
    return survey.truncated && device === undefined ? null : 'unplug'
  }
  if (device.attachedTo === record.frontend) return null
  // Of a frontend that was asked qubesd knows that it has it no more, though not who else may.
  const known = survey.byQubesd?.unheard.includes(record.frontend) === false
  if (device.state === 'unknown' && !known) return null
  if (device.attachedTo === null && moment.slept > record.slept) return 'suspend'
  return 'other-tool'
}

/** A socket that is gone is a qube that is halted; another domain id is a qube that was started again. */
function hasRestarted(domain: number | null, socket: QrexecSocket | undefined): boolean {
  return socket === undefined || (domain !== null && socket.domainId !== null && socket.domainId !== domain)
}

const WORDS: Record<Ending, string> = {
  reboot: 'dom0 was booted again',
  restart: 'one of the two qubes was halted or restarted',
  suspend: 'the machine was suspended',
  unplug: 'it was unplugged',
  'other-tool': 'another tool or the qube itself ended it',
}

/** What is told by a look at the backend, and not by what is known of the boot and the qubes. */
const BY_LOOK: readonly Ending[] = ['suspend', 'unplug', 'other-tool']

/**
 * Takes attachments that are over out of the store, and tells each once.
 *
 * A record may be younger than the look: another qusb has attached the device meanwhile. What seems to be over counts
 * only when a look that was begun with the record known says so too, and when the record still stands then.
 * @param records the finished ones to look at; open operations are for settle
 * @param held the place whose lock the caller holds, if any
 */
export async function reconcile(
  context: Context,
  records: readonly AttachmentRecord[],
  seen: Pick<Look, 'surveys'>,
  held?: DevicePlace,
): Promise<Warning[]> {
  const attached = records.filter((record) => record.phase === 'attached')
  const suspected = await findEnded(context, attached, seen)
  if (suspected.length === 0) return []
  context.directory.forget()
  const again = await lookAt(
    context,
    new Set(suspected.filter(({ how }) => BY_LOOK.includes(how)).map(({ record }) => record.backend)),
  )
  // Seldom needed.
  const [{ endRecords }, { clearLeftover }] = await Promise.all([
    import('./journal.ts'),
    import('./leftover.ts'),
  ])
  const known = suspected.map(({ record }) => record)
  const ended = await endRecords(context, await findEnded(context, known, again), { phase: 'attached' })
  await Promise.all(
    ended.filter(({ leftover }) => leftover).map(({ record }) => clearLeftover(context, record, held)),
  )
  return ended.map(({ record, how }) => ({
    qube: record.backend,
    code: 'ENDED',
    message: `${record.backend}:${record.port} (${record.device.description}) is no longer attached to ${record.frontend}: ${WORDS[how]}`,
    hint: null,
  }))
}

/** Those of the records that are over, by a look and by which qubes run now. */
async function findEnded(
  context: Context,
  records: readonly AttachmentRecord[],
  seen: Pick<Look, 'surveys'>,
) {
  if (records.length === 0) return []
  const running = await findRunningQubes(context)
  if (running === undefined) return []
  const moment = readMoment(context.site)
  return records.flatMap((record) => {
    const how = endingOf(record, seen, running, moment)
    if (how === null) return []
    return [{ record, what: 'ended' as const, how, user: null, leftover: mayHaveLeft(record, how, running) }]
  })
}

/**
 * Whether the frontend, which runs on, may still keep a state file: an unplug, for one, leaves it
 * (docs/facts.md#state-files).
 */
function mayHaveLeft(record: AttachmentRecord, ending: Ending, running: RunningQubes): boolean {
  return (
    ending !== 'reboot' &&
    !record.stubdom &&
    !hasRestarted(record.frontendDomain, running.get(record.frontend))
  )
}
