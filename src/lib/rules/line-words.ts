import { findUnsafe } from '../model/text.ts'

/** A word of a line, and where it stands. */
export interface Word {
  /** Without its quotes. */
  text: string
  /** From 1, in characters. */
  column: number
  quoted: boolean
}

/** Why a line cannot be taken apart. */
export interface LineFault {
  column: number
  message: string
  hint: string
}

/** Longer than any rule that makes sense: a serial has at most 126 characters, a full identity some 700. */
const LINE_LIMIT = 2000

const QUOTED = /"((?:[^"\\]|\\["\\])*)"/y
const BARE = /[^ \t"]+/y

/**
 * Takes a line apart into words. Spaces and tabs stand between words; a word in double quotes may hold them, and `\"`
 * and `\\` in it are a quote and a backslash. A `#` at the beginning of a word begins a comment.
 * @param line without its newline; any text
 */
export function splitLine(line: string): Word[] | LineFault {
  if (line.length > LINE_LIMIT) {
    return {
      column: 1,
      message: `the line is longer than ${LINE_LIMIT} characters`,
      hint: 'Write it in several.',
    }
  }
  const unsafe = findUnsafe(line.replaceAll('\t', ' '))
  if (unsafe !== undefined) {
    return {
      column: columnAt(line, unsafe.at),
      message: `the line holds a character that does not show, or is not UTF-8 (${unsafe.code})`,
      hint: 'Remove it: what a rule says must be what it looks like.',
    }
  }
  const words: Word[] = []
  for (let at = skipBlanks(line, 0); at < line.length && line[at] !== '#'; at = skipBlanks(line, at)) {
    const column = columnAt(line, at)
    const quoted = line[at] === '"'
    const pattern = quoted ? QUOTED : BARE
    pattern.lastIndex = at
    const match = pattern.exec(line)
    if (match === null) {
      return {
        column,
        message: 'the quote is not closed',
        hint: 'In quotes, write \\" for " and \\\\ for \\.',
      }
    }
    at += match[0].length
    if (at < line.length && line[at] !== ' ' && line[at] !== '\t') {
      return {
        column: columnAt(line, at),
        message: quoted ? 'something follows the closing quote' : 'there is a quote inside a word',
        hint: 'Put the whole field in quotes: "1050:0407@serial with spaces".',
      }
    }
    words.push({ text: quoted ? (match[1] ?? '').replace(/\\(["\\])/g, '$1') : match[0], column, quoted })
  }
  return words
}

function skipBlanks(line: string, from: number): number {
  let at = from
  while (line[at] === ' ' || line[at] === '\t') at++
  return at
}

/** The column that an editor shows: characters, not the units of UTF-16. */
function columnAt(line: string, at: number): number {
  return [...line.slice(0, at)].length + 1
}
