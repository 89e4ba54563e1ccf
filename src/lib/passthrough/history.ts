import { readHistory } from '../store/history.ts'
import { findBackends } from './backends.ts'
import type { Context } from './context.ts'
import { lookWithStore } from './list.ts'
import type { HistoryResult } from './results.ts'

/**
 * The latest events, after a look at what has ended since: an unplug or a suspend is told by whoever looks first.
 * @throws QusbError STORE
 */
export async function history(context: Context, limit: number): Promise<HistoryResult> {
  const warnings: HistoryResult['warnings'] = []
  try {
    warnings.push(...(await lookWithStore(context, await findBackends(context))).warnings)
  } catch (error) {
    // No backend runs: the history can be read all the same.
    context.signal.throwIfAborted()
    if ((error as { code?: string }).code !== 'NOT_FOUND') throw error
  }
  return { schema: 1, events: readHistory(context.site, { limit }).events, warnings }
}
