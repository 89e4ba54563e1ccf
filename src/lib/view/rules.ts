import { formatOptions } from '../rules/options.ts'
import type {
  RuleAdded,
  RuleExport,
  RuleList,
  RuleRemoved,
  RuleSuggestions,
  ShownRule,
} from '../rules/results.ts'
import { ruleLabel } from '../rules/rule.ts'
import { type Cell, type Column, drawTable } from './table.ts'
import { paint, plain, sentence, type Terminal } from './terminal.ts'

/** What a rule does, by colour as well. */
export const ACTION_STYLES = { allow: 'green', ask: 'yellow', deny: 'red' } as const

/** The rules in their order, as a table for a person. */
export function renderRuleList({ rules }: RuleList, terminal: Terminal): string {
  if (rules.length === 0) return 'There are no rules: nothing is attached by itself.\n'
  const columns: Column[] = [
    { title: 'ID' },
    { title: 'DEVICE', least: 12 },
    { title: 'BACKEND' },
    { title: 'FRONTEND' },
    { title: 'ACTION' },
    { title: 'OPTIONS', least: 8 },
    { title: 'WHERE', expendable: 1 },
  ]
  const rows = rules.map((rule): Cell[] => [
    { text: rule.id },
    { text: rule.device },
    { text: rule.backend ?? '*' },
    { text: rule.frontend ?? '@none' },
    { text: rule.action, style: ACTION_STYLES[rule.action] },
    { text: formatOptions(rule.options).join(' ') },
    { text: ruleLabel(rule), style: 'dim' },
  ])
  return drawTable(columns, rows, terminal)
}

/** The rules for a script, one a line, tab-separated: id, device, backend, frontend, action, options, file:line. */
export function renderRuleLines({ rules }: RuleList): string {
  return rules
    .map((rule) =>
      [
        rule.id,
        rule.device,
        rule.backend ?? '*',
        rule.frontend ?? '@none',
        rule.action,
        formatOptions(rule.options).join(' ') || '-',
        `${rule.file}:${rule.line}`,
      ].join('\t'),
    )
    .map((line) => `${line}\n`)
    .join('')
}

/** What was added, with where it is; with --dry-run what would be. */
export function renderRuleAdded(result: RuleAdded, terminal: Terminal): string {
  const leftOut = renderLeftOut(
    result.leftOut.map(({ what, why }) => `${what}: ${why}`),
    terminal,
  )
  const file = plain(result.file, terminal)
  const nothing = `${result.already > 0 ? 'The rules say so already: nothing to do.' : 'There is nothing to add.'}\n${leftOut}`
  if (result.plan !== undefined) {
    if (result.plan.length === 0) return nothing
    const lines = result.plan.map(({ text }) => `  ${plain(text, terminal)}\n`).join('')
    return `Would add to ${file}:\n${lines}${leftOut}Nothing was done (--dry-run).\n`
  }
  if (result.rules.length === 0) return nothing
  return `Added to ${file}:\n${result.rules.map((rule) => ruleLine(rule, terminal)).join('')}${leftOut}`
}

/** What was removed, so that it can be put back. */
export function renderRuleRemoved(result: RuleRemoved, terminal: Terminal): string {
  return [...new Set(result.rules.map(({ file }) => file))]
    .map((file) => {
      const lines = result.rules.filter((rule) => rule.file === file).map((rule) => ruleLine(rule, terminal))
      return `Removed from ${plain(file, terminal)}:\n${lines.join('')}`
    })
    .join('')
}

/** Rules ready to be put into a file; what is there already is a comment. */
export function renderSuggestions({ suggestions }: RuleSuggestions, terminal: Terminal): string {
  if (suggestions.length === 0) return '# Nothing is attached, so there is nothing to suggest.\n'
  return suggestions
    .map(({ rule, about, already }) => {
      const comment = `# ${plain(about, terminal)}${already === null ? '' : `; ${ruleLabel(already)} says so already`}\n`
      return `${comment}${already === null ? '' : '# '}${plain(rule.text, terminal)}\n`
    })
    .join('')
}

/** Commands ready to be pasted into a shell of dom0; what has no command is a comment. */
export function renderExport({ commands, leftOut }: RuleExport, terminal: Terminal): string {
  const told = commands.map(({ rule, words, lost }) => {
    const comment = lost.length === 0 ? '' : `; without ${lost.join(' ')}`
    return `# ${plain(rule.text, terminal)}${comment}\n${words.map(quoteWord).join(' ')}\n`
  })
  const untold = leftOut.map(
    ({ rule, why }) => `# left out: ${plain(rule.text, terminal)}\n#   ${plain(why, terminal)}\n`,
  )
  if (told.length + untold.length === 0) return '# There are no rules.\n'
  return [...told, ...untold].join('')
}

function ruleLine(rule: ShownRule, terminal: Terminal): string {
  return `  ${plain(rule.text, terminal)}  ${paint(`# ${ruleLabel(rule)}, ${rule.id}`, 'dim', terminal)}\n`
}

function renderLeftOut(lines: readonly string[], terminal: Terminal): string {
  if (lines.length === 0) return ''
  return `Left out:\n${lines.map((line) => `  ${sentence(line, terminal, '  ').trim()}\n`).join('')}`
}

/** A word as a shell takes it. */
function quoteWord(word: string): string {
  return /^[A-Za-z0-9_@%+:,./=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
