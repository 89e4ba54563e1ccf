import type { Warning } from '../passthrough/results.ts'
import { paint, plain, sentence, type Terminal } from './terminal.ts'

/** Warnings for stderr: what, about which qube, what to do. */
export function renderWarnings(warnings: readonly Warning[], terminal: Terminal): string {
  return warnings
    .map(({ qube, code, message, hint }) => {
      const about = qube === null || message.includes(qube) ? '' : `${qube}: `
      // Painted after it is broken into lines, and so that the words are whole without colour.
      const words = sentence(`qusb: warning: ${about}${message} [${code}]`, terminal)
      const head = words.replace('warning:', paint('warning:', 'yellow', terminal))
      return `${head}${hint === null ? '' : `  ${plain(hint, terminal)}\n`}`
    })
    .join('')
}
