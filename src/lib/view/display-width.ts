/**
 * Characters that take two columns: East Asian Wide and Fullwidth (UAX 11), and what is drawn as an emoji. Made
 * when something is not plain ASCII, as the next: Unicode's tables take time to set up.
 */
const wide = (): RegExp =>
  /[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1aff0}-\u{1b2ff}\u{1f200}-\u{1f2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u

/** Characters that take none: they are drawn on the one before. */
const narrowest = (): RegExp => /^[\p{Mn}\p{Me}\p{Cf}]$/u

const ASCII = /^[\x20-\x7e]*$/

/** How many columns of a terminal a text takes. The text holds no control characters. */
export function displayWidth(text: string): number {
  if (ASCII.test(text)) return text.length
  let width = 0
  for (const character of text) width += characterWidth(character)
  return width
}

function characterWidth(character: string): number {
  if (character <= '\u007e') return 1
  if (wide().test(character)) return 2
  return narrowest().test(character) ? 0 : 1
}

/**
 * Cuts a text that is wider than it may be; what is cut ends in an ellipsis.
 * @param width columns
 * @param unicode whether the ellipsis may be the one character
 */
export function cutToWidth(text: string, width: number, unicode: boolean): string {
  if (displayWidth(text) <= width) return text
  const ellipsis = unicode ? '…' : '...'.slice(0, width)
  const room = width - ellipsis.length
  let cut = ''
  let taken = 0
  for (const character of text) {
    taken += characterWidth(character)
    if (taken > room) break
    cut += character
  }
  return cut.trimEnd() + ellipsis
}
