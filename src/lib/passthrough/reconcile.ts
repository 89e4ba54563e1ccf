import type { AttachmentRecord } from '../model/attachment.ts'
import { sameIdentity } from '../model/identity.ts'
import type { QrexecSocket } from '../qubes/qrexec.ts'
import { type Moment, readMoment } from '../site/moment.ts'
import type { Context } from './context.ts'
import { endRecords } from './journal.ts'
import { clearLeftover } from './leftover.ts'
import { deviceAt, type Look } from './look.ts'
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
  seen: Look,
  running: RunningQubes,
  moment: Moment,
): Ending | null {
  if (record.bootId !== moment.bootId) return 'reboot'
  if (hasRestarted(record.backendDomain, running.get(record.backend))) return 'restart'
  if (hasRestarted(record.frontendDomain, running.get(record.frontend))) return 'restart'
  const survey = seen.surveys.get(record.backend)
  if (survey === undefined) return null
  const device = deviceAt(survey, record.port)
  if (
    device === undefined ||
    device.busnum !== record.device.busnum ||
    device.devnum !== record.device.devnum ||
    !sameIdentity(device, record.device)
  ) {
    return survey.truncated && device === undefined ? null : 'unplug'
  }
  if (device.attachedTo === record.frontend || device.state === 'unknown') return null
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

/**
 * Takes attachments that are over out of the store, and tells each once.
 * @param records the finished ones to look at; open operations are for settle
 */
export async function reconcile(
  context: Context,
  records: readonly AttachmentRecord[],
  seen: Look,
): Promise<Warning[]> {
  const attached = records.filter((record) => record.phase === 'attached')
  if (attached.length === 0) return []
  const running = await findRunningQubes(context)
  if (running === undefined) return []
  const moment = readMoment(context.site)
  const ended = attached.flatMap((record) => {
    const ending = endingOf(record, seen, running, moment)
    return ending === null ? [] : [{ record, ending, leftover: mayHaveLeft(record, ending, running) }]
  })
  await endRecords(
    context,
    ended.map(({ record, ending, leftover }) => ({
      record,
      what: 'ended' as const,
      how: ending,
      user: null,
      leftover,
    })),
  )
  await Promise.all(
    ended.filter(({ leftover }) => leftover).map(({ record }) => clearLeftover(context, record)),
  )
  return ended.map(({ record, ending }) => ({
    qube: record.backend,
    code: 'ENDED',
    message: `${record.backend}:${record.port} (${record.device.description}) is no longer attached to ${record.frontend}: ${WORDS[ending]}`,
    hint: null,
  }))
}

/** Whether the frontend, which runs on, may still keep a state file: an unplug, for one, leaves it (FACTS section 3). */
function mayHaveLeft(record: AttachmentRecord, ending: Ending, running: RunningQubes): boolean {
  return (
    ending !== 'reboot' &&
    !record.stubdom &&
    !hasRestarted(record.frontendDomain, running.get(record.frontend))
  )
}
