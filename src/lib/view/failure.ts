import { paint, plain, sentence, type Terminal } from './terminal.ts'

/** A failure in words: what, on which object, what to do next. */
export function renderFailure(
  failure: {
    code: string
    message: string
    hint: string | null
    detail: string | null
    candidates?: { selector: string; description: string }[] | undefined
  },
  terminal: Terminal,
): string {
  const candidates = failure.candidates ?? []
  const width = Math.max(0, ...candidates.map((each) => each.selector.length))
  const words = sentence(`qusb: error: ${failure.message} [${failure.code}]`, terminal)
  const lines = candidates.map(
    (each) => `  ${plain(each.selector, terminal).padEnd(width)}  ${plain(each.description, terminal)}`,
  )
  if (failure.hint !== null) lines.push(`  ${plain(failure.hint, terminal)}`)
  if (failure.detail !== null) lines.push(`  (${plain(failure.detail, terminal)})`)
  return words.replace('error:', paint('error:', 'red', terminal)) + lines.map((line) => `${line}\n`).join('')
}
