import { cleanText } from '../model/text.ts'
import { displayWidth } from './display-width.ts'

/** What the place that a view is drawn on can show. */
export interface Terminal {
  /** Columns; without end where it is not a terminal. */
  width: number
  colour: boolean
  /** Whether characters beyond ASCII arrive as meant. */
  unicode: boolean
}

/** Taken where a terminal does not tell its width. */
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
    width: stream.isTTY !== true ? Number.POSITIVE_INFINITY : columns > 0 ? columns : USUAL_WIDTH,
    colour: stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb',
    unicode: stream.isTTY !== true || /utf-?8/i.test(locale ?? ''),
  }
}

/**
 * Text fit to be part of a line: no control character leaves a view, whatever came in. On a terminal that is not UTF-8
 * nothing beyond ASCII either: there the second byte of an innocent letter is a control character.
 */
export function plain(text: string, terminal: Terminal): string {
  if (ASCII.test(text)) return text.trim()
  const clean = cleanText(text, TEXT_LIMIT).text
  return terminal.unicode ? clean : clean.replaceAll('…', '...').replace(/[^\x20-\x7e]/g, '_')
}

/** Most text there is: it needs no cleaning, and a long list is many texts. */
const ASCII = /^[\x20-\x7e]{0,2000}$/

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

/**
 * A sentence for a person, broken between words where the terminal is too narrow; what follows the first line is
 * indented. Not for what is to be pasted.
 */
export function sentence(text: string, terminal: Terminal, indent = ''): string {
  const lines: string[] = []
  for (const word of plain(text, terminal).split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && displayWidth(`${last} ${word}`) <= terminal.width)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(`${indent}${lines.length === 0 ? '' : '  '}${word}`)
  }
  return `${lines.join('\n')}\n`
}

/** A moment as a person at this machine reads it, `2026-07-01 09:05`; the text itself where it is no date. */
export function localTime(iso: string): string {
  const at = new Date(iso)
  if (Number.isNaN(at.getTime())) return iso
  const two = (number: number): string => String(number).padStart(2, '0')
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`
}
