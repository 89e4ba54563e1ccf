import { type AttachmentRecord, placeOf } from '../model/attachment.ts'
import { lockDevice } from '../store/place-lock.ts'
import { readState, updateState } from '../store/store.ts'
import type { Context } from './context.ts'
import type { DevicePlace } from './place-locks.ts'
import { forgetStateFile } from './release.ts'

/**
 * Removes what a frontend still keeps of an attachment that is over: a stale state file makes its next detach of that
 * port free whatever sits there by then (docs/facts.md#state-files). The end of the attachment itself was told before.
 *
 * Where the frontend does not answer or somebody is at work on the device, the record stays for the next command.
 * @param held the place whose lock the caller holds, if any
 */
export async function clearLeftover(
  context: Context,
  record: AttachmentRecord,
  held?: DevicePlace,
): Promise<void> {
  const isHeld = held !== undefined && placeOf(held) === placeOf(record)
  const lock = isHeld ? undefined : await lockDevice(context.site, record, { waitMs: 0 })
  if (lock !== undefined && !('release' in lock)) return
  try {
    const isOpen = readState(context.site).state.attachments.some(
      (entry) => entry.id === record.id && entry.phase === 'leftover',
    )
    if (!isOpen || !(await forgetStateFile(context, record))) return
    await updateState(context.site, (records) => records.filter((entry) => entry.id !== record.id))
  } finally {
    lock?.release()
  }
}
