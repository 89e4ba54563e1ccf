/**
 * What a terminal could act on when somebody looks at the file: controls, bidirectional marks, line separators. Made when
 * something is not plain ASCII: Unicode's tables take time to set up.
 */
const invisible = (): RegExp => /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/gu

/**
 * JSON on one line, in which every character that does not show is written as `\u…`: a file of such lines can be
 * looked at with `cat`, and reads back as the same value.
 */
export function formatLine(value: unknown): string {
  const json = JSON.stringify(value)
  return /^[ -~]*$/.test(json) ? json : json.replace(invisible(), escapeUnits)
}

function escapeUnits(character: string): string {
  return Array.from({ length: character.length }, (_, at) => {
    return `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`
  }).join('')
}
