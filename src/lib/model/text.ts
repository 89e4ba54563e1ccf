/**
 * Text from a qube, made fit for a terminal, a log or JSON.
 *
 * Control characters, escape sequences' introducers (C0, DEL, C1), bidirectional marks and overrides, line and
 * paragraph separators, other invisible format characters, private-use, unassigned and surrogate code points
 * become `_`; what was not UTF-8 has become U+FFFD at decoding and becomes `_` too.
 *
 * Made when something is not plain ASCII: Unicode's tables take longer to set up than all else in a survey.
 */
const unsafe = (): RegExp => /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\uFFFD]/gu

/** Combining marks stacked higher than this smear over neighbouring lines. */
const stackedMarks = (): RegExp => /(\p{M}{2})\p{M}+/gu

/** What needs no cleaning. */
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/

export interface CleanText {
  text: string
  /** Whether the text is other than what was sent: then it is for display only, never for comparing. */
  changed: boolean
}

/**
 * Cleans hostile text for display.
 * @param raw decoded text of any length
 * @param limit the most UTF-16 units kept; what is cut ends in `…`
 */
export function cleanText(raw: string, limit: number): CleanText {
  // Cut before the regular expressions run: their cost is then bounded as well.
  const head =
    raw.length > limit ? `${raw.slice(0, Math.max(0, limit - 1)).replace(/[\uD800-\uDBFF]$/, '')}…` : raw
  const clean = PRINTABLE_ASCII.test(head) ? head : head.replace(unsafe(), '_').replace(stackedMarks(), '$1')
  const text = clean.trim()
  return { text, changed: text !== raw }
}

/**
 * The first character that cleaning would replace, in a text that is to be refused rather than cleaned.
 * @returns where it is, and its code point as `U+202E`; undefined where there is none
 */
export function findUnsafe(text: string): { at: number; code: string } | undefined {
  const at = PRINTABLE_ASCII.test(text) ? -1 : text.search(unsafe())
  if (at < 0) return undefined
  const code = (text.codePointAt(at) ?? 0).toString(16).toUpperCase().padStart(4, '0')
  return { at, code: `U+${code}` }
}

/**
 * Cleans what a program wrote to stderr: lines are kept, joined by ` | `, at most 500 characters.
 * @returns undefined when nothing is left
 */
export function cleanStderr(raw: string): string | undefined {
  const lines = raw
    .slice(0, 4096)
    .split(/[\r\n]+/)
    .map((line) => cleanText(line, 300).text)
    .filter((line) => line !== '')
  return lines.length === 0 ? undefined : cleanText(lines.join(' | '), 500).text
}
