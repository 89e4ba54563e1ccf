import type { ListedDevice } from '../passthrough/results.ts'
import type { Style } from './terminal.ts'

/** `sys-usb:2-1`: a selector to paste. */
export function placeWords(at: { backend: string; port: string }): string {
  return `${at.backend}:${at.port}`
}

/** Mb/s as the field says it: `480M`, `5G`, `1.5M`; empty where it is not known. */
export function speedWords(speed: number | null): string {
  if (speed === null) return ''
  return speed >= 1000 ? `${speed / 1000}G` : `${speed}M`
}

/** What users call it, and what it is: `red-key = storage: SanDisk Cruzer Blade`. */
export function namedKindWords(device: ListedDevice): string {
  return [...device.aliases, kindWords(device)].join(' = ')
}

/** What it is: `storage: SanDisk Cruzer Blade`. */
export function kindWords(device: ListedDevice): string {
  return device.class === null ? device.description : `${device.class}: ${device.description}`
}

/** The keys of devices that look alike, so that their serials are worth showing. */
export function findAlike(devices: readonly ListedDevice[]): (device: ListedDevice) => boolean {
  const count = new Map<string, number>()
  const key = (device: ListedDevice): string => `${device.vendorId}:${device.productId}`
  for (const device of devices) count.set(key(device), (count.get(key(device)) ?? 0) + 1)
  return (device) => (count.get(key(device)) ?? 0) > 1
}

/** Who has it, in a word. */
export function holderWords(device: ListedDevice): { text: string; style?: Style } {
  if (device.drift === 'unresolved') return { text: device.attachedTo ?? 'unknown', style: 'yellow' }
  if (device.state === 'unknown') return { text: 'unknown', style: 'yellow' }
  if (device.attachedTo === null) return { text: '' }
  return { text: device.attachedTo, style: device.drift === null ? 'green' : 'yellow' }
}

const MODE_WORDS = { 'auto-attach': 'auto:', 'ask-to-attach': 'asks:', required: 'required by' } as const

/** What else a line about the device should say, a few words each. */
export function noteWords(device: ListedDevice): string[] {
  const notes: string[] = []
  if (device.drift === 'unresolved') notes.push('unresolved')
  if (device.drift === 'other-tool') notes.push('other tool')
  if (device.drift === 'attached-elsewhere') notes.push('elsewhere')
  if (device.hub) notes.push('hub')
  else if (device.hidden) notes.push('hidden')
  if (device.inputForDom0) notes.push('dom0 input')
  if ((device.usage?.length ?? 0) > 0) notes.push('in use')
  if (device.toldBy === 'qubesd') notes.push("qubesd's word")
  if (device.assignment !== null)
    notes.push(`${MODE_WORDS[device.assignment.mode]} ${device.assignment.frontend}`)
  return notes
}

/** Where qusb's record and the backend disagree, in whole sentences; undefined where they agree. */
export function driftSentence(device: ListedDevice): string | undefined {
  const place = placeWords(device)
  const holder = device.attachedTo ?? 'nobody'
  const intended = device.intendedFor
  switch (device.drift) {
    case null:
      return undefined
    case 'other-tool':
      return `${place} was attached to ${holder} by another tool.`
    case 'attached-elsewhere':
      return `${place} is attached to ${holder}${intended === null ? ', where qusb did not put it' : `; qusb had given it to ${intended}`}.`
    case 'unresolved':
      return `${place}: an operation${intended === null ? '' : ` for ${intended}`} did not come to an end; the next qusb command tries again.`
  }
}
