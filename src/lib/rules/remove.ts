import type { Context } from '../passthrough/context.ts'
import { removeRules } from './change.ts'
import { type RuleRemoved, showRule } from './results.ts'

/**
 * Removes rules by their ids.
 * @throws QusbError NOT_FOUND for an id that no rule has; USAGE where the rules are broken; STORE
 */
export async function removeListedRules(context: Context, ids: readonly string[]): Promise<RuleRemoved> {
  const removed = await removeRules(context.site, context.signal, ids)
  return { schema: 1, changed: removed.length > 0, rules: removed.map(showRule) }
}
