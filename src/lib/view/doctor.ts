import type { CheckResult, DoctorResult, FindingResult } from '../doctor/results.ts'
import { type Cell, drawTable } from './table.ts'
import { paint, plain, type Style, sentence, type Terminal } from './terminal.ts'

const STYLES: Record<FindingResult['state'], Style> = {
  ok: 'green',
  mended: 'green',
  warning: 'yellow',
  error: 'red',
}

/** A line a check; below it, in sentences, what is not well and what to do. */
export function renderDoctor(result: DoctorResult, terminal: Terminal): string {
  const columns = [{ title: 'CHECK' }, { title: 'STATE' }, { title: 'FOUND', least: 20 }]
  const rows = result.checks.map((check): Cell[] => [
    { text: check.title },
    { text: check.state, style: STYLES[check.state] },
    { text: foundWords(check) },
  ])
  const below = result.checks
    .flatMap(({ findings }) => findings)
    .filter(({ state }) => state !== 'ok')
    .map((finding) => renderFinding(finding, terminal))
  return drawTable(columns, rows, terminal) + (below.length === 0 ? '' : `\n${below.join('')}`)
}

/** What needs a sentence stands below: here only how much there is of it. */
function foundWords({ findings, state }: CheckResult): string {
  const [first] = findings
  if (findings.length === 1 || first === undefined) return first?.message ?? ''
  const count = findings.filter((finding) => finding.state !== 'ok').length
  return `${count} ${state === 'mended' ? 'things' : 'findings'}, see below`
}

function renderFinding(finding: FindingResult, terminal: Terminal): string {
  const words = sentence(`${finding.state}: ${finding.message}`, terminal)
  const head = words.replace(`${finding.state}:`, paint(`${finding.state}:`, STYLES[finding.state], terminal))
  const next = finding.mended ?? finding.fix
  return `${head}${next === null ? '' : `  ${plain(next, terminal)}\n`}`
}
