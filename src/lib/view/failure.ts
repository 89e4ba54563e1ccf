import { paint, plain, type Terminal } from './terminal.ts'

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
  const lines = [
    `qusb: ${paint('error:', 'red', terminal)} ${plain(`${failure.message} [${failure.code}]`, terminal)}`,
    ...candidates.map(
      (each) =>
        `  ${plain(each.selector.padEnd(width), terminal).padEnd(width)}  ${plain(each.description, terminal)}`,
    ),
  ]
  if (failure.hint !== null) lines.push(`  ${plain(failure.hint, terminal)}`)
  if (failure.detail !== null) lines.push(`  (${plain(failure.detail, terminal)})`)
  return `${lines.join('\n')}\n`
}
