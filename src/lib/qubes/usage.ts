import type { Usage } from '../model/device.ts'
import type { Port } from '../model/port.ts'
import { cleanText } from '../model/text.ts'
import type { Transcript } from './transcript.ts'

/** What a backend does with its own devices now. */
export interface DeviceUse {
  usage: Map<Port, Usage[]>
  /** dom0 types or points with these. */
  inputForDom0: Set<Port>
  rejected: number
}

interface Block {
  name: string
  port: Port
  holders: string[]
}

const USAGE_LIMIT = 64
const BLOCK_NAME = /^[A-Za-z0-9!_.-]{1,32}$/

/**
 * Finds which devices are in use, by the paths of their block and input devices.
 * @param ports the device at each sysfs path
 */
export function readUse(transcript: Transcript, ports: ReadonlyMap<string, Port>): DeviceUse {
  const use: DeviceUse = { usage: new Map(), inputForDom0: new Set(), rejected: 0 }
  const lines = (tag: string): string[] => transcript.facts.get(tag) ?? []
  const { byName, byNumber, rejected } = readBlocks(transcript, ports)
  use.rejected += rejected

  const add = (block: Block | undefined, kind: Usage['kind'], what: string | null): void => {
    if (block === undefined) return
    const known = use.usage.get(block.port) ?? []
    if (known.length >= USAGE_LIMIT) return
    const text = what === null ? '' : cleanText(what, 200).text
    known.push({ kind, block: block.name, what: text === '' ? null : text })
    use.usage.set(block.port, known)
  }
  const blockAt = (file: string): Block | undefined =>
    file.startsWith('/dev/') ? byName.get(file.slice('/dev/'.length)) : undefined

  for (const line of lines('M')) {
    const [device = '', directory = ''] = line.split(' ', 2)
    add(blockAt(decodeOctal(device)), 'mounted', decodeOctal(directory))
  }
  for (const line of lines('W')) add(blockAt(decodeOctal(line)), 'swap', null)
  for (const block of byName.values()) {
    for (const holder of block.holders) add(block, 'holder', holder)
  }
  for (const line of lines('L')) {
    const blank = line.indexOf(' ')
    add(blockAt(line.slice(blank + 1)), 'holder', line.slice(0, Math.max(0, blank)))
  }
  for (const line of lines('V')) {
    // xen-blkback, xenbus.c: `physical_device` is major:minor in hexadecimal; the directory vbd-DOMID-ID.
    const [, domain, major = '', minor = ''] =
      /^vbd-([0-9]{1,6})-[0-9]{1,10} ([0-9a-f]{1,8}):([0-9a-f]{1,8})$/.exec(line) ?? []
    if (domain === undefined) use.rejected++
    else
      add(
        byNumber.get(`${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`),
        'given',
        `domain ${domain}`,
      )
  }
  use.rejected += readInput(lines('E'), lines('I'), ports, use.inputForDom0)
  return use
}

function readBlocks(
  transcript: Transcript,
  ports: ReadonlyMap<string, Port>,
): { byName: Map<string, Block>; byNumber: Map<string, Block>; rejected: number } {
  const byName = new Map<string, Block>()
  const byNumber = new Map<string, Block>()
  let rejected = 0
  for (const { fields, holders } of transcript.blocks) {
    const [name = '', number = '', path = ''] = fields
    if (fields.length !== 3 || !BLOCK_NAME.test(name) || byName.has(name)) {
      rejected++
      continue
    }
    const port = portAbove(path, ports)
    if (port === undefined) continue
    const block = { name, port, holders }
    byName.set(name, block)
    byNumber.set(number, block)
  }
  return { byName, byNumber, rejected }
}

/** An input sender's unit is `qubes-input-sender-…@eventN.service` (qubes-input-proxy). */
function readInput(
  events: readonly string[],
  units: readonly string[],
  ports: ReadonlyMap<string, Port>,
  found: Set<Port>,
): number {
  const sent = new Set(units.map((unit) => /@(event[0-9]{1,5})\.service$/.exec(unit)?.[1]))
  let rejected = 0
  for (const line of events) {
    const [event = '', path, ...more] = line.split(' ', 3)
    if (path === undefined || more.length > 0) {
      rejected++
      continue
    }
    const port = sent.has(event) ? portAbove(path, ports) : undefined
    if (port !== undefined) found.add(port)
  }
  return rejected
}

/** The device that a path lies below: the nearest one. */
function portAbove(path: string, ports: ReadonlyMap<string, Port>): Port | undefined {
  if (path.length > 1024) return undefined
  let at = path.lastIndexOf('/')
  // sysfs is not half as deep; a path of slashes only would cost its length squared.
  for (let steps = 0; at > 0 && steps < 64; steps++) {
    const port = ports.get(path.slice(0, at))
    if (port !== undefined) return port
    at = path.lastIndexOf('/', at - 1)
  }
  return undefined
}

/** /proc/mounts and /proc/swaps write blanks and backslashes as `\040`. */
function decodeOctal(text: string): string {
  return text.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
