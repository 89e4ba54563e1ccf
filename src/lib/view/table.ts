import Table from 'cli-table3'
import { cutToWidth, displayWidth } from './display-width.ts'
import { paint, plain, type Style, type Terminal } from './terminal.ts'

export interface Column {
  title: string
  /** The width below which it is not cut while anything else gives; without it, it is cut last of all. */
  least?: number
  /** Left out when the terminal is too narrow, the lowest number first. */
  expendable?: number
}

export interface Cell {
  text: string
  style?: Style | undefined
}

const GAP = '  '

/** Below this many columns nothing sensible can be drawn. */
const NARROWEST_COLUMN = 4

const CHARS = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
  ].map((name) => [name, '']),
)

/**
 * Draws a calm table: a head, no rules, two spaces between columns, and no line wider than the terminal.
 * @returns lines, each with its newline
 */
export function drawTable(columns: readonly Column[], rows: readonly Cell[][], terminal: Terminal): string {
  const texts = rows.map((row) => row.map((cell) => plain(cell.text, terminal)))
  const natural = columns.map((column, i) =>
    Math.max(displayWidth(column.title), ...texts.map((row) => displayWidth(row[i] ?? ''))),
  )
  const widths = fitColumns(columns, natural, terminal.width)
  const shown = columns.map((_, i) => i).filter((i) => (widths[i] ?? 0) > 0)
  const cut = (text: string, i: number): string => cutToWidth(text, widths[i] ?? 0, terminal.unicode)

  const table = new Table({
    chars: { ...CHARS, middle: GAP },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
    colWidths: shown.map((i) => widths[i] ?? null),
  })
  table.push(shown.map((i) => paint(cut(columns[i]?.title ?? '', i), 'dim', terminal)))
  rows.forEach((row, r) => {
    table.push(shown.map((i) => paint(cut(texts[r]?.[i] ?? '', i), row[i]?.style, terminal)))
  })
  return table
    .toString()
    .split('\n')
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

/** Widths that fit, 0 for a column that is left out. */
export function fitColumns(columns: readonly Column[], natural: readonly number[], width: number): number[] {
  const dropped = new Set<number>()
  const expendable = columns
    .map((column, i) => ({ i, order: column.expendable }))
    .filter((entry) => entry.order !== undefined)
    .sort((a, b) => (a.order ?? 0) - (b.order ?? 0))
  for (;;) {
    const widths = natural.map((natural, i) => (dropped.has(i) ? 0 : natural))
    if (shrink(widths, width, (i) => columns[i]?.least)) return widths
    const next = expendable.shift()
    if (next === undefined) {
      const soft = (i: number): number | undefined =>
        columns[i]?.least === undefined ? undefined : NARROWEST_COLUMN
      if (!shrink(widths, width, soft)) shrink(widths, width, () => NARROWEST_COLUMN)
      return widths
    }
    dropped.add(next.i)
  }
}

/** Takes columns off the widest that may give, until all fit. @returns whether they do */
function shrink(widths: number[], width: number, least: (column: number) => number | undefined): boolean {
  const shown = widths.filter((column) => column > 0).length
  let excess = widths.reduce((sum, column) => sum + column, 0) + GAP.length * (shown - 1) - width
  while (excess > 0) {
    let widest = -1
    widths.forEach((column, i) => {
      if (column > (least(i) ?? Number.POSITIVE_INFINITY) && column > (widths[widest] ?? 0)) widest = i
    })
    if (widest < 0) return false
    widths[widest] = (widths[widest] ?? 0) - 1
    excess--
  }
  return true
}
