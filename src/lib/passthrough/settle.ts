import { readState, type StoreView } from '../store/store.ts'
import type { Context } from './context.ts'
import type { Warning } from './results.ts'

/**
 * Brings to an end what an earlier qusb left open: it died, was interrupted twice, or could not reach a side.
 * Every command does this first. An attach that came through is kept; anything else is undone.
 * @param found the store as it was read just now
 * @returns what was settled, and what could not be
 */
export async function settle(
  context: Context,
  { state, warnings }: StoreView = readState(context.site),
): Promise<Warning[]> {
  const told: Warning[] = warnings.map((message) => ({ qube: null, code: 'STORE', message, hint: null }))
  const open = state.attachments.filter(({ phase }) => phase !== 'attached')
  if (open.length === 0) return told
  // Seldom needed, and the half of what attaches and detaches.
  const [{ clearLeftover }, { settleRecord }] = await Promise.all([
    import('./leftover.ts'),
    import('./settle-record.ts'),
  ])
  for (const record of open) {
    if (record.phase === 'leftover') await clearLeftover(context, record)
    else told.push(...(await settleRecord(context, record.id, record)))
  }
  return told
}
