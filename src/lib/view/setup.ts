import type { SetupResult } from '../passthrough/results.ts'
import { plain, type Terminal } from './terminal.ts'

/** What the setup did, one thing a line. */
export function renderSetup(result: SetupResult, terminal: Terminal): string {
  const width = Math.max(0, ...result.done.map((each) => each.path.length))
  const lines = result.done.map(
    (each) =>
      `${each.action.padEnd(9)}  ${plain(each.path, terminal).padEnd(width)}  ${plain(each.what, terminal)}`,
  )
  if (!result.changed) lines.push('Everything was in place: nothing to do.')
  return lines.map((line) => `${line.trimEnd()}\n`).join('')
}
