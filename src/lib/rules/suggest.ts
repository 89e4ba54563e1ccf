import type { Context } from '../passthrough/context.ts'
import { identityText } from './add.ts'
import { decide } from './decide.ts'
import { readDraft } from './draft.ts'
import { requireRules } from './load.ts'
import { DEFAULT_OPTIONS } from './options.ts'
import { findPresent } from './present.ts'
import { type RuleSuggestions, showRule, showTerms } from './results.ts'

/**
 * Rules that would bring about what is attached now.
 * @throws QusbError USAGE where the rules are broken
 */
export async function suggestRules(context: Context): Promise<RuleSuggestions> {
  const rules = requireRules(context.site)
  const { candidates, warnings } = await findPresent(context)
  const suggestions = candidates.flatMap((candidate) => {
    const { device, description, aliases } = candidate
    const frontend = device.attachedTo
    if (frontend === null) return []
    const [alias] = aliases
    const rule = readDraft({
      deviceText: alias ?? identityText(device),
      backend: device.backend,
      frontend,
      action: 'allow',
      options: DEFAULT_OPTIONS,
    })
    const decision = decide(rules, candidate, { running: new Set([frontend]) })
    const same = decision.frontend === frontend ? decision.rule : null
    return [
      {
        rule: showTerms(rule),
        about: `${description}, at ${device.backend}:${device.port}${device.serial === null ? '; it has no serial' : ''}`,
        already: same === null ? null : showRule(same),
      },
    ]
  })
  return { schema: 1, suggestions, warnings }
}
