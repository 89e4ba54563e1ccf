import type { Site } from '../site/site.ts'
import { requireRules } from './load.ts'
import { type RuleList, showRule } from './results.ts'

/**
 * Every rule, in the order in which they are looked at.
 * @throws QusbError USAGE where the rules are broken
 */
export function listRules(site: Site): RuleList {
  return { schema: 1, rules: requireRules(site).map(showRule) }
}
