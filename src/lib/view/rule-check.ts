import { describeProblem } from '../rules/load.ts'
import type { Foreseen, RuleCheck } from '../rules/results.ts'
import { ruleLabel } from '../rules/rule.ts'
import { ACTION_STYLES } from './rules.ts'
import { paint, plain, sentence, type Terminal } from './terminal.ts'

/** Problems as compilers tell them, findings below the rule that they are about. */
export function renderRuleCheck({ problems, findings, rules }: RuleCheck, terminal: Terminal): string {
  if (problems.length > 0) {
    return problems
      .map((problem) => {
        const hint = problem.hint === null ? '' : `  ${plain(problem.hint, terminal)}\n`
        return `${plain(describeProblem(problem), terminal)}\n${hint}`
      })
      .join('')
  }
  if (rules.length === 0) return 'There are no rules: nothing is attached by itself.\n'
  const count = `${rules.length} ${rules.length === 1 ? 'rule' : 'rules'}`
  if (findings.length === 0)
    return `${count}, and nothing is wrong with ${rules.length === 1 ? 'it' : 'them'}.\n`
  return findings
    .map(({ rule, message, hint }) => {
      const where = rule === null ? '' : `${ruleLabel(rule)}: ${rule.text}`
      const told = sentence(message, terminal, '  ')
      const next = hint === null ? '' : `  ${plain(hint, terminal)}\n`
      return `${paint(plain(where, terminal), 'bold', terminal)}\n${told}${next}`
    })
    .join('')
}

/** What would happen to the device, in a sentence, and what stands in the way. */
export function renderForeseen(foreseen: Foreseen, terminal: Terminal): string {
  const notes = foreseen.notes.map(({ message, hint }) => {
    const next = hint === null ? '' : `    ${plain(hint, terminal)}\n`
    return `${sentence(message, terminal, '  ')}${next}`
  })
  return `${sentence(outcomeWords(foreseen), terminal)}${notes.join('')}`
}

/** The rule that wins, and for each other why it does not. */
export function renderExplanation(foreseen: Foreseen, terminal: Terminal): string {
  const head = renderForeseen(foreseen, terminal)
  if (foreseen.considered.length === 0) return `${head}There are no rules.\n`
  const told = foreseen.considered.map(({ rule, outcome, why }) => {
    const style = outcome === 'wins' ? ACTION_STYLES[rule.action] : outcome === 'beaten' ? undefined : 'dim'
    const line = plain(`${outcome === 'wins' ? '>' : '-'} ${ruleLabel(rule)}: ${rule.text}`, terminal)
    return `${paint(line, style, terminal)}\n${sentence(why, terminal, '    ')}`
  })
  return `${head}\n${told.join('')}`
}

function outcomeWords({ device, outcome, action, rule, frontend }: Foreseen): string {
  const vidPid = `${device.vendorId}:${device.productId}`
  const what = device.plugged
    ? `${device.backend}:${device.port} (${device.description}, ${vidPid})`
    : `${vidPid}${device.serial === null ? '' : `@${device.serial}`}, which is not plugged in,`
  const by = rule === null ? '' : ` by ${ruleLabel(rule)}`
  switch (outcome) {
    case 'nothing':
      return `${what} would stay where it is: no rule is about it.`
    case 'denied':
      return `${what} would be attached to nobody: denied${by}.`
    case 'refused':
      return `${what} would be ${action === 'ask' ? 'asked about and ' : ''}refused to ${frontend}${by}:`
    case 'waits':
      return `${what} would wait for ${frontend}${by}:`
    case 'asked':
      return `${what} would be attached to ${frontend} if you say so, asked${by}.`
    case 'attached':
      return `${what} would be attached to ${frontend}${by}.`
  }
}
