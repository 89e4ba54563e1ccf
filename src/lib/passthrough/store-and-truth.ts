import { QusbError } from '../errors.ts'
import type { AttachmentRecord } from '../model/attachment.ts'
import { readState } from '../store/store.ts'
import type { Context } from './context.ts'
import { errorToWarning, type Look } from './look.ts'
import { reconcile } from './reconcile.ts'
import type { Warning } from './results.ts'
import { settle } from './settle.ts'

/**
 * Settles what is open in the store, and reconciles what it believes in with what is seen. A store that cannot be used
 * is a warning here.
 * @param looking a look that has begun; it counts where nothing was open
 * @param again looks again: what was settled has changed what is seen
 */
export async function settleAndReconcile(
  context: Context,
  looking: Promise<Look>,
  again: () => Promise<Look>,
): Promise<{ seen: Look; records: readonly AttachmentRecord[]; warnings: Warning[] }> {
  const warnings: Warning[] = []
  const orWarn = async <T>(work: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof QusbError) || error.code !== 'STORE') throw error
      if (!warnings.some((warning) => warning.message === error.message)) warnings.push(errorToWarning(error))
      return otherwise
    }
  }
  const found = await orWarn(async () => readState(context.site), undefined)
  if (found !== undefined) warnings.push(...(await orWarn(async () => await settle(context, found), [])))
  const wasOpen = found?.state.attachments.some((record) => record.phase !== 'attached') ?? false
  const seen = wasOpen ? await again() : await looking
  // Others may have written meanwhile.
  const records = await orWarn(async () => readState(context.site).state.attachments, [])
  warnings.push(...(await orWarn(async () => await reconcile(context, records, seen), [])))
  return { seen, records, warnings }
}
