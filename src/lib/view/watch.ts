import { formatVidPid } from '../model/identity.ts'
import type { WatchEvent } from '../passthrough/results.ts'
import { placeWords } from './device-words.ts'
import { localTime, plain, type Terminal } from './terminal.ts'

/** An event as a line for a person: when, what, and about which device or qube. */
export function renderEvent(event: WatchEvent, terminal: Terminal): string {
  const seconds = String(new Date(event.at).getSeconds()).padStart(2, '0')
  return `${localTime(event.at)}:${seconds}  ${plain(describe(event), terminal)}\n`
}

function describe(event: WatchEvent): string {
  const device =
    event.backend === null || event.port === null
      ? ''
      : `${placeWords({ backend: event.backend, port: event.port })} (${event.description}, ${formatVidPid({ vendorId: event.vendorId ?? '0000', productId: event.productId ?? '0000' })})`
  switch (event.event) {
    case 'watching':
      return event.source === 'qubesd'
        ? 'watching, by the events of qubesd'
        : 'watching, by looking from time to time: there are no events of qubesd'
    case 'device-added':
      return `added     ${device}`
    case 'device-removed':
      return `removed   ${device}`
    case 'device-attached':
      return `attached  ${device} to ${event.frontend}`
    case 'device-detached':
      return `detached  ${device} from ${event.frontend}`
    case 'qube-started':
      return `started   ${event.qube}`
    case 'qube-stopped':
      return `stopped   ${event.qube}`
    case 'qube-paused':
      return `paused    ${event.qube}`
    case 'qube-unpaused':
      return `goes on   ${event.qube}`
    case 'rule-attached':
      return `by rule   ${device} to ${event.frontend}, by ${event.rule}`
    case 'rule-failed':
      return `failed    ${device} to ${event.frontend}, by ${event.rule}: ${event.message}`
    case 'rule-refused':
      return `refused   ${device} to ${event.frontend}, by ${event.rule}: ${event.message}`
    case 'rule-given-back':
      return `took back ${device} from ${event.frontend}: ${event.message}`
  }
}
