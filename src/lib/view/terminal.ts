import { cleanText } from '../model/text.ts'

/** What the place that a view is drawn on can show. */
export interface Terminal {
  /** Columns. */
  width: number
  colour: boolean
  /** Whether characters beyond ASCII arrive as meant. */
  unicode: boolean
}

/** Taken where a terminal does not tell its width, and for what is not a terminal. */
const USUAL_WIDTH = 80

/** The longest single text a view takes in: longer than anything that is let in at a door. */
const TEXT_LIMIT = 2000

/**
 * What a stream can show. Colour: on a terminal, unless NO_COLOR is set (no-color.org) or TERM is `dumb`. Unicode: what
 * the locale says, as the C library reads it (LC_ALL, LC_CTYPE, LANG).
 */
export function describeTerminal(
  stream: { isTTY?: boolean | undefined; columns?: number | undefined },
  env: Record<string, string | undefined>,
): Terminal {
  const locale = [env.LC_ALL, env.LC_CTYPE, env.LANG].find((value) => value !== undefined && value !== '')
  const columns = stream.columns ?? 0
  return {
    width: columns > 0 ? columns : USUAL_WIDTH,
    colour: stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb',
    unicode: stream.isTTY !== true || /utf-?8/i.test(locale ?? ''),
  }
}

/**
 * Text fit to be part of a line: no control character leaves a view, whatever came in. On a terminal that is not UTF-8
 * nothing beyond ASCII either: there the second byte of an innocent letter is a control character.
 */
export function plain(text: string, terminal: Terminal): string {
  const clean = cleanText(text, TEXT_LIMIT).text
  return terminal.unicode ? clean : clean.replaceAll('…', '...').replace(/[^\x20-\x7e]/g, '_')
}

const STYLES = {
  bold: ['\u001b[1m', '\u001b[22m'],
  dim: ['\u001b[2m', '\u001b[22m'],
  green: ['\u001b[32m', '\u001b[39m'],
  yellow: ['\u001b[33m', '\u001b[39m'],
  red: ['\u001b[31m', '\u001b[39m'],
} as const

export type Style = keyof typeof STYLES

/** The text in a style, where the terminal has colour. Colour never says what words do not. */
export function paint(text: string, style: Style | undefined, terminal: Terminal): string {
  if (style === undefined || !terminal.colour || text === '') return text
  const [on, off] = STYLES[style]
  return `${on}${text}${off}`
}

/** A moment as a person at this machine reads it, `2026-07-01 09:05`; the text itself where it is no date. */
export function localTime(iso: string): string {
  const at = new Date(iso)
  if (Number.isNaN(at.getTime())) return iso
  const two = (number: number): string => String(number).padStart(2, '0')
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`
}
