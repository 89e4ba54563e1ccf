import { QusbError } from '../errors.ts'
import { parseRules } from './parse.ts'
import { formatRule, type RuleTerms } from './rule.ts'

/** A rule in the making: its fields as they are to be written, not yet looked at. */
export type Draft = Omit<RuleTerms, 'device' | 'backend' | 'frontend'> & {
  backend: string | null
  frontend: string | null
}

/**
 * The rule that a draft is, read as it will be read from its file.
 * @throws QusbError USAGE for what a file could not hold
 */
export function readDraft(draft: Draft): RuleTerms {
  const { rules, problems } = parseRules(formatRule(draft), 'a rule')
  const [rule] = rules
  const [problem] = problems
  if (rule !== undefined && problem === undefined) return rule
  throw new QusbError('USAGE', problem?.message ?? `"${draft.deviceText}" cannot be written as a rule`, {
    ...(problem?.hint == null ? {} : { hint: problem.hint }),
  })
}
