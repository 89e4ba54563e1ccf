import { formatVidPid } from '../model/identity.ts'
import type { ListedDevice } from '../passthrough/results.ts'
import {
  driftSentence,
  findAlike,
  holderWords,
  kindWords,
  noteWords,
  placeWords,
  speedWords,
} from './device-words.ts'
import { type Cell, type Column, drawTable } from './table.ts'
import { plain, sentence, type Terminal } from './terminal.ts'

/** The devices as a table for a person; what needs a sentence stands below it. */
export function renderDeviceList(devices: readonly ListedDevice[], terminal: Terminal): string {
  if (devices.length === 0) return 'No USB devices to show.\n'
  const alike = findAlike(devices)
  const notes = devices.map((device) => noteWords(device).join(', '))
  const hasNotes = notes.some((note) => note !== '')
  const serials = devices.map((device) => (alike(device) ? (device.serial ?? '') : ''))
  const hasSerials = serials.some((serial) => serial !== '')
  const hasAliases = devices.some((device) => device.aliases.length > 0)
  const columns: Column[] = [
    { title: 'BACKEND:PORT' },
    ...(hasAliases ? [{ title: 'ALIAS', least: 8 }] : []),
    { title: 'VID:PID', expendable: 2 },
    { title: 'DEVICE', least: 16 },
    ...(hasSerials ? [{ title: 'SERIAL', least: 8, expendable: 3 }] : []),
    { title: 'SPEED', expendable: 1 },
    { title: 'ATTACHED TO' },
    ...(hasNotes ? [{ title: 'NOTE', least: 12 }] : []),
  ]
  const rows = devices.map((device, i): Cell[] => {
    const quiet = device.hidden || device.hub ? ('dim' as const) : undefined
    return [
      { text: placeWords(device), style: quiet },
      ...(hasAliases ? [{ text: device.aliases.join(' '), style: quiet }] : []),
      { text: formatVidPid(device), style: quiet },
      { text: kindWords(device), style: quiet },
      ...(hasSerials ? [{ text: serials[i] ?? '', style: quiet }] : []),
      { text: speedWords(device.speed), style: quiet },
      holderWords(device),
      ...(hasNotes ? [{ text: notes[i] ?? '', style: 'yellow' as const }] : []),
    ]
  })
  const drifts = devices.map(driftSentence).filter((words) => words !== undefined)
  const below = drifts.map((words) => sentence(words, terminal)).join('')
  return drawTable(columns, rows, terminal) + (below === '' ? '' : `\n${below}`)
}

/**
 * The devices for a script, one a line, tab-separated: backend, port, vid:pid, serial, class, description, speed (Mb/s),
 * attachedTo. `-` stands for none, and `?` for a holder that is not known.
 */
export function renderDeviceLines(devices: readonly ListedDevice[]): string {
  const screen: Terminal = { width: Number.POSITIVE_INFINITY, colour: false, unicode: true }
  return devices
    .map((device) => {
      const holder = device.attachedTo ?? (device.state === 'unknown' ? '?' : '-')
      const fields = [
        device.backend,
        device.port,
        formatVidPid(device),
        device.serial ?? '-',
        device.class ?? '-',
        device.description,
        device.speed === null ? '-' : String(device.speed),
        holder,
      ]
      return `${fields.map((field) => plain(field, screen)).join('\t')}\n`
    })
    .join('')
}
