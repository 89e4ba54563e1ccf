import { QusbError } from '../errors.ts'
import type { Context } from '../passthrough/context.ts'
import type { Warning } from '../passthrough/results.ts'
import type { Site } from '../site/site.ts'
import { addRules, ownFileOf } from './change.ts'
import { findCover } from './covers.ts'
import { findUnknownAliases, requireRules } from './load.ts'
import { type RuleAdded, showRule, showTerms } from './results.ts'
import { formatRule, type Rule, type RuleTerms, ruleLabel } from './rule.ts'

/**
 * Writes rules, or says with a dry run which, and warns of those that will never win.
 * @throws QusbError USAGE where the rules that are there are broken; STORE
 */
export async function writeRules(
  context: Context,
  terms: readonly RuleTerms[],
  options: { first: boolean; dryRun: boolean; leftOut: RuleAdded['leftOut']; warnings: readonly Warning[] },
): Promise<RuleAdded> {
  const { site, signal } = context
  const { leftOut, warnings } = options
  refuseUnknownAliases(site, terms)
  if (options.dryRun) {
    const known = new Set(requireRules(site).map(formatRule))
    const plan = terms.filter((each) => !known.has(formatRule(each))).map(showTerms)
    const file = ownFileOf(site)
    const already = terms.length - plan.length
    return { schema: 1, changed: false, rules: [], file, already, plan, leftOut, warnings: [...warnings] }
  }
  const { file, changed } = await addRules(site, signal, terms, { first: options.first })
  const never = changed.length === 0 ? [] : warnOfCovers(requireRules(site), new Set(changed.map(formatRule)))
  return {
    schema: 1,
    changed: changed.length > 0,
    rules: changed.map(showRule),
    file,
    already: terms.length - changed.length,
    leftOut,
    warnings: [...warnings, ...never],
  }
}

/** A rule that would keep every rule from counting is not written. @throws QusbError USAGE */
function refuseUnknownAliases(site: Site, terms: readonly RuleTerms[]): void {
  const rules = terms.map((each) => ({ ...each, file: ownFileOf(site), line: 1, source: formatRule(each) }))
  const [fault] = findUnknownAliases(site, rules)
  if (fault === undefined) return
  throw new QusbError('USAGE', fault.message, fault.hint === null ? {} : { hint: fault.hint })
}

/** A new rule behind one that leaves nothing for it, and an older one that the new rule leaves nothing for. */
function warnOfCovers(rules: readonly Rule[], added: ReadonlySet<string>): Warning[] {
  return rules.flatMap((rule, i): Warning[] => {
    const cover = findCover(rules.slice(0, i), rule)
    if (cover === undefined || !(added.has(formatRule(rule)) || added.has(formatRule(cover)))) return []
    return [
      {
        qube: null,
        code: 'NEVER_WINS',
        message: `${ruleLabel(rule)} never wins: ${ruleLabel(cover)} comes first and is about all that it is about`,
        hint: 'The order counts: qusb rule list. "rule add --first" puts a rule before the others of its file.',
      },
    ]
  })
}
