import type { Alias, NamedDevice } from '../model/alias.ts'
import type { AliasAddResult, AliasRemoveResult } from '../rules/alias-results.ts'
import { type Column, drawTable } from './table.ts'
import { plain, sentence, type Terminal } from './terminal.ts'

export function renderAliasAdd(result: AliasAddResult, terminal: Terminal): string {
  const { alias, device } = result
  const what = `${device.description} (${device.vendorId}:${device.productId}${device.serial === null ? '' : `@${device.serial}`})`
  const follows = device.pin === null ? 'wherever it is plugged' : 'while it is plugged where it is now'
  return sentence(
    result.changed
      ? `"${alias.name}" means ${what}, ${follows}.`
      : `"${alias.name}" means ${what} already: nothing to do.`,
    terminal,
  )
}

export function renderAliasRemove(result: AliasRemoveResult, name: string, terminal: Terminal): string {
  return sentence(
    result.changed ? `"${name}" means no device any more.` : `There is no alias "${name}": nothing to do.`,
    terminal,
  )
}

/** The aliases as a table for a person, a device a row. */
export function renderAliasList(aliases: readonly Alias[], terminal: Terminal): string {
  if (aliases.length === 0) return 'There are no aliases.\n'
  const columns: Column[] = [
    { title: 'ALIAS' },
    { title: 'VID:PID' },
    { title: 'SERIAL', least: 8 },
    { title: 'PINNED TO', least: 12 },
    { title: 'DEVICE', least: 12 },
  ]
  const rows = aliases.flatMap(({ name, devices }) =>
    devices.map((device, i) => [
      { text: i === 0 ? name : '' },
      { text: `${device.vendorId}:${device.productId}` },
      { text: device.serial ?? '' },
      { text: pinWords(device) },
      { text: device.description },
    ]),
  )
  return drawTable(columns, rows, terminal)
}

/** The aliases for a script: name, vid:pid, serial, pin, description, tab-separated; `-` stands for none. */
export function renderAliasLines(aliases: readonly Alias[]): string {
  const screen: Terminal = { width: Number.POSITIVE_INFINITY, colour: false, unicode: true }
  return aliases
    .flatMap(({ name, devices }) =>
      devices.map((device) =>
        [
          name,
          `${device.vendorId}:${device.productId}`,
          device.serial ?? '-',
          pinWords(device) || '-',
          device.description,
        ]
          .map((field) => plain(field, screen))
          .join('\t'),
      ),
    )
    .map((line) => `${line}\n`)
    .join('')
}

/** `sys-usb 0000:00:14.0 usb2 1.4` */
function pinWords({ pin }: NamedDevice): string {
  if (pin === null) return ''
  return [pin.backend, pin.controller ?? '?', pin.bus, pin.path].join(' ')
}
