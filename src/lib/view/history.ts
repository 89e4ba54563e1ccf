import type { HistoryEvent } from '../model/event.ts'
import { formatVidPid } from '../model/identity.ts'
import type { HistoryResult } from '../passthrough/results.ts'
import { placeWords } from './device-words.ts'
import { type Cell, drawTable } from './table.ts'
import { localTime, plain, type Style, type Terminal } from './terminal.ts'

/** What happened, as a table for a person, in local time. */
export function renderHistory(result: HistoryResult, terminal: Terminal): string {
  if (result.events.length === 0) return 'Nothing has happened yet.\n'
  return drawTable(
    [
      { title: 'WHEN' },
      { title: 'WHAT' },
      { title: 'BACKEND:PORT' },
      { title: 'VID:PID', expendable: 1 },
      { title: 'DEVICE', least: 12, expendable: 3 },
      { title: 'QUBE' },
      { title: 'BY', least: 4, expendable: 2 },
      { title: 'HOW' },
    ],
    result.events.map((event): Cell[] => [
      { text: localTime(event.at) },
      { text: event.what, style: styleOf(event) },
      { text: placeWords(event) },
      { text: formatVidPid(event) },
      { text: event.description },
      { text: event.frontend },
      { text: event.rule === null ? (event.user ?? '') : `${event.user ?? ''} (rule ${event.rule})`.trim() },
      { text: event.how ?? '' },
    ]),
    terminal,
  )
}

function styleOf(event: HistoryEvent): Style | undefined {
  if (event.what === 'failed') return 'red'
  return event.what === 'attached' ? 'green' : undefined
}

/**
 * What happened, for a script, one event a line, tab-separated: at (UTC), what, backend, port, vid:pid, serial,
 * description, frontend, user, rule, how; `-` for none.
 */
export function renderHistoryLines(result: HistoryResult): string {
  const screen: Terminal = { width: Number.POSITIVE_INFINITY, colour: false, unicode: true }
  return result.events
    .map((event) => {
      const fields = [
        event.at,
        event.what,
        event.backend,
        event.port,
        formatVidPid(event),
        event.serial,
        event.description,
        event.frontend,
        event.user,
        event.rule,
        event.how,
      ]
      return `${fields.map((field) => (field === null || field === '' ? '-' : plain(field, screen))).join('\t')}\n`
    })
    .join('')
}
