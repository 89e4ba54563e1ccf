import type { SetupResult } from '../passthrough/results.ts'
import { plain, type Terminal } from './terminal.ts'

/** What the setup did, one thing a line; with --dry-run what it would do. */
export function renderSetup(result: SetupResult, terminal: Terminal): string {
  const width = Math.max(0, ...result.done.map((each) => each.path.length))
  const lines =
    result.plan !== undefined
      ? result.plan.map((each) => `would ${plain(`${each.step} ${each.what}`, terminal)}`)
      : result.done.map(
          (each) =>
            `${each.action.padEnd(9)}  ${plain(each.path, terminal).padEnd(width)}  ${plain(each.what, terminal)}`,
        )
  if (result.plan === undefined ? !result.changed : result.plan.length === 0) {
    lines.push('Everything is in place: nothing to do.')
  }
  for (const { qube, path, mode, content, target } of result.files ?? []) {
    const what = target === null ? `mode ${mode}` : `link to ${target}`
    lines.push('', plain(`== ${qube}:${path}  ${what}`, terminal))
    for (const line of (content ?? '').split('\n').slice(0, -1)) lines.push(`  ${line}`)
  }
  return lines.map((line) => `${line.trimEnd()}\n`).join('')
}
