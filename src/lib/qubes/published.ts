import { type Port, portFromQubesDbKey } from '../model/port.ts'

/** What a backend's QubesDB says of one device. */
export interface Published {
  /** It has a `desc`: the backend offers it to others. */
  offered: boolean
  /** The serial in `desc`, decoded but not cleaned; null where it has none. */
  serial: string | null
  /** Codes of its interfaces, as they stand there. */
  interfaces: string[]
  /** `connected-to`, not validated: undefined for nobody, '' when it contradicts itself. */
  connectedTo: string | undefined
}

const TREE = '/qubes-usb-devices/'

/**
 * Reads the lines of `qubesdb-multiread -f /qubes-usb-devices/`: `/qubes-usb-devices/2-1_4/desc = 1050:0407 Yubico Key`
 * (client/qubesdb-cmd.c of qubes-core-qubesdb).
 * @returns the devices, and how many lines were of no known form
 */
export function readPublished(lines: readonly string[]): {
  published: Map<Port, Published>
  rejected: number
} {
  const published = new Map<Port, Published>()
  let rejected = 0
  for (const line of lines) {
    const equals = line.indexOf(' = ')
    const key = line.startsWith(TREE) && equals >= 0 ? line.slice(TREE.length, equals) : undefined
    // The tree's own entry has no key and no value: a write there says that something changed.
    if (key === '') continue
    const [name = '', field = '', ...more] = key === undefined ? [] : key.split('/', 3)
    const port = portFromQubesDbKey(name)
    if (port === undefined || field === '' || more.length > 0) {
      rejected++
      continue
    }
    let entry = published.get(port)
    if (entry === undefined) {
      entry = { offered: false, serial: null, interfaces: [], connectedTo: undefined }
      published.set(port, entry)
    }
    take(entry, field, line.slice(equals + 3))
  }
  return { published, rejected }
}

function take(entry: Published, field: string, value: string): void {
  switch (field) {
    case 'desc': {
      entry.offered = true
      // Four words since linux-utils 4.3.0, two before; the fourth may be empty.
      const words = value.split(' ', 5)
      entry.serial = words.length === 4 && words[3] !== undefined && words[3] !== '' ? decode(words[3]) : null
      break
    }
    case 'interfaces':
      entry.interfaces = value
        .toLowerCase()
        .split(':', 66)
        .filter((code) => code !== '')
      break
    case 'connected-to':
      entry.connectedTo = entry.connectedTo === undefined || entry.connectedTo === value ? value : ''
      break
    default:
    // `usb-ver`, `x-pid` and what later versions add say nothing that sysfs does not.
  }
}

/** `\x20` is a blank: udev encodes so, and qubesdb-multiread what is not printable ASCII. */
function decode(word: string): string {
  return word.replace(/(?:\\x[0-9a-fA-F]{2})+/g, (run) =>
    Buffer.from(run.replaceAll('\\x', ''), 'hex').toString('utf8'),
  )
}
