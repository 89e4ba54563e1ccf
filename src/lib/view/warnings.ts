import type { Warning } from '../passthrough/results.ts'
import { paint, plain, type Terminal } from './terminal.ts'

/** Warnings for stderr: what, about which qube, what to do. */
export function renderWarnings(warnings: readonly Warning[], terminal: Terminal): string {
  return warnings
    .map(({ qube, code, message, hint }) => {
      const about = qube === null || message.includes(qube) ? '' : `${qube}: `
      const head = `${paint('warning:', 'yellow', terminal)} ${plain(`${about}${message} [${code}]`, terminal)}\n`
      return `qusb: ${head}${hint === null ? '' : `  ${plain(hint, terminal)}\n`}`
    })
    .join('')
}
