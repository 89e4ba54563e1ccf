// Pieces of pages in mdoc(7).

const WIDTH = 76

/**
 * A page with its lists in place of the lines that name them, `@COMMANDS@`.
 * @throws Error for a line that names none
 */
export function fillPage(template: string, lists: Readonly<Record<string, string[]>>): string {
  return template
    .split('\n')
    .flatMap((line) => {
      const list = lists[line]
      if (list === undefined && /^@[A-Z_]+@$/.test(line)) throw new Error(`there is no list ${line}`)
      return list ?? [line]
    })
    .join('\n')
}

/** How a page begins. */
export function head(name: string, date: string, section = 1): string[] {
  return ['.\\" Made by `npm run generate`.', `.Dd ${date}`, `.Dt ${name.toUpperCase()} ${section}`, '.Os']
}

/** A description as a sentence; a first word that is a name keeps its letter. */
export function sentence(words: string): string {
  const begin = /^[a-z]+(?=[ ,;:]|$)/.test(words) ? words.charAt(0).toUpperCase() + words.slice(1) : words
  return begin === '' || /[.!?]$/.test(begin) ? begin : `${begin}.`
}

/** Text lines: a sentence begins a line, and no line is long. */
export function text(words: string): string[] {
  return words.split(/(?<=[.:;?!]["”)]?) +(?=\S)/).flatMap((part) => wrap(part).map(escapeText))
}

function wrap(words: string): string[] {
  const lines: string[] = []
  for (const word of words.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= WIDTH)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** A line that is text, whatever it begins with; a dash that is typed is a dash when it is copied. */
export function escapeText(line: string): string {
  return line
    .replaceAll('\\', '\\e')
    .replace(/(?<![\p{L}\p{N}])-+(?=\S)/gu, (dashes) => '\\-'.repeat(dashes.length))
    .replace(/^[.']/, '\\&$&')
    .replace(
      /[^\x20-\x7e]/gu,
      (character) => `\\[u${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`,
    )
}

/** Words as arguments of a macro: a word that is itself the name of one is taken as text, and so is a quote. */
export function macroText(words: string): string {
  return escapeText(words)
    .replaceAll('"', '\\(dq')
    .split(' ')
    .map((word) => (/^([A-Z][a-z]|[.,:;()|?![\]])$/.test(word) ? `\\&${word}` : word))
    .join(' ')
}
