/** A line of a shell up to the cursor. */
export interface SplitLine {
  /** The whole words before the cursor. */
  words: string[]
  /** The word at the cursor, as far as it is typed. */
  current: string
  /** It began in quotes, or is in them. */
  quoted: boolean
}

/**
 * Takes a line apart as a shell does, by blanks, quotes and backslashes; nothing in it is expanded.
 * @param line any text; quotes may be open
 */
export function splitLine(line: string): SplitLine {
  const words: string[] = []
  let current = ''
  let begun = false
  let quoted = false
  let quote = ''
  for (let i = 0; i < line.length; i++) {
    const character = line.charAt(i)
    const escapes = character === '\\' && quote !== "'"
    if (quote !== '' && character === quote) quote = ''
    else if (escapes && (quote === '' || /["\\$`]/.test(line.charAt(i + 1)))) {
      current += line.charAt(++i)
      begun = true
    } else if (quote === '' && (character === '"' || character === "'")) {
      quote = character
      begun = true
      quoted = true
    } else if (quote === '' && /\s/.test(character)) {
      if (begun) words.push(current)
      current = ''
      begun = false
      quoted = false
    } else {
      current += character
      begun = true
    }
  }
  return { words, current, quoted }
}
