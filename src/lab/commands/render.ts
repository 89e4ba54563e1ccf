import { cleanText } from '../../lib/model/text.ts'
import type { LabStatus } from '../lab.ts'

/** A lab in words: its qubes, then its devices. */
export function renderStatus(status: LabStatus): string {
  const qubes = status.qubes.map(({ name, state, domid, backend }) => [
    name,
    state,
    domid === null ? '-' : String(domid),
    backend ? 'USB backend' : '',
  ])
  const devices = status.devices.map((device) => [
    `${device.backend}:${device.port}`,
    `${device.vendorId}:${device.productId}`,
    device.kind,
    device.serial === null ? '-' : cleanText(device.serial, 40).text,
    device.attachedTo === null ? '' : `attached to ${device.attachedTo}`,
  ])
  const faults = status.faults.map(({ name, qube, value }) => ['fault', name, qube ?? '', value ?? ''])
  return [
    `lab ${status.name} (${status.engine} engine, pid ${status.pid})`,
    ...align(qubes),
    ...align(devices),
    ...align(faults),
    '',
  ].join('\n')
}

function align(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  )
  return rows.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd(),
  )
}
