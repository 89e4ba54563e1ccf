/**
 * What the probe prints, taken apart into lines of fields; nothing in it is believed yet.
 *
 *     MARKER begin 1
 *     PATH = VALUE               of QubesDB (docs/facts.md#reading-qubesdb): /name, its own, /qubes-usb-devices/2-1_4/desc
 *     MARKER devices
 *     D PORT DRIVER PATH         a USB device and where it is in sysfs; `-` for no driver
 *     i CONFIG.NUMBER DRIVER     an interface of it
 *      12 01 …                   bytes of its descriptors, when it shows no interfaces
 *     MARKER attributes
 *     PORT/[PORT:CONFIG.NUMBER/]ATTRIBUTE:TEXT      a line of a file of that device or interface
 *     ../../../devices/platform/vhci_hcd.N/status:TEXT      a line of a table of virtual host controllers
 *     MARKER facts
 *     B NAME MAJOR:MINOR PATH    a block device below a USB bus; `h NAME` a holder of it
 *     E eventN PATH              an input device below a USB bus
 *     L loopN FILE, M DEVICE DIRECTORY, W DEVICE, V vbd-DOMID-ID MAJOR:MINOR (hex), I UNIT
 *     S VHCIPORT FILE            a state file; P PID WORD<tab>WORD… a process of an import: as the tables, of a frontend alone
 *     K PORT…                    the ports in usbip-host's table
 *     X SERVICE                  a service that it offers; T: the probe stopped at its limit
 *     MARKER end
 */
export interface Transcript {
  /** Empty when the qube could not tell. */
  name: string
  qubesDb: string[]
  devices: DeviceRecord[]
  /** Lines of the tables of its virtual host controllers; undefined where it has none. */
  vhci: string[] | undefined
  blocks: { fields: string[]; holders: string[] }[]
  /** The lines of each other tag, without the tag. */
  facts: Map<string, string[]>
  truncated: boolean
  /** Lines that were too long, too many or of no known form. */
  rejected: number
}

/** Lines of each file: more than one line is more than an honest file of numbers has, and may be a trick in a text. */
export type Attributes = Map<string, string[]>

export interface DeviceRecord {
  port: string
  driver: string
  path: string
  attributes: Attributes
  interfaces: { name: string; driver: string; attributes: Attributes }[]
  /** Lines of hex bytes. */
  descriptors: string[]
}

/** A page of sysfs, and room for the tag. */
const LINE_LIMIT = 4200
const LINES_LIMIT = 50_000
const DEVICE_LIMIT = 1024
/** 4096 bytes in lines of 16. */
const DESCRIPTOR_LINES_LIMIT = 256
const INTERFACE_LIMIT = 64
/** Lines of one tag; the probe itself stops earlier. */
const FACT_LIMIT = 2048

/** The probe lets no more of the attributes through: so long a section is one that was cut off. */
const ATTRIBUTE_BYTES = 160_000

const NAME = '/name = '

const VHCI_LINE = /^(?:\.\.\/){3}devices\/platform\/vhci_hcd\.[0-9]{1,3}\/status(?:\.[0-9]{1,3})?:(.*)$/s

const LETTER = /[A-Za-z_]/
const ATTRIBUTE = /^[A-Za-z_]{1,32}$/

const FACT_TAGS = new Set(['E', 'L', 'M', 'W', 'V', 'I', 'S', 'P', 'K', 'X'])

/**
 * Finds the probe's lines in what a qube's shell printed.
 * @param output all of stdout: a login profile may have printed before the marker and after it
 * @returns undefined where a marker is missing: an answer that may be cut off is none
 */
export function readTranscript(output: Buffer, marker: string): Transcript | undefined {
  const begin = sectionAfter(output, marker, 'begin 1', 0)
  const devices = sectionAfter(output, marker, 'devices', begin?.end)
  const attributes = sectionAfter(output, marker, 'attributes', devices?.end)
  const facts = sectionAfter(output, marker, 'facts', attributes?.end)
  const end = sectionAfter(output, marker, 'end', facts?.end)
  if (!begin || !devices || !attributes || !facts || !end) return undefined

  const transcript: Transcript = {
    name: '',
    qubesDb: [],
    devices: [],
    vhci: undefined,
    blocks: [],
    facts: new Map(),
    truncated: false,
    rejected: 0,
  }
  const lines = (from: number, to: number): string[] => {
    const all = to <= from ? [] : output.toString('utf8', from, to).split('\n')
    const kept = all.slice(0, LINES_LIMIT).filter((line) => line.length <= LINE_LIMIT)
    transcript.rejected += all.length - kept.length
    return kept.filter((line) => line !== '')
  }
  const qubesDb = lines(begin.end, devices.start)
  const names = qubesDb.filter((line) => line.startsWith(NAME))
  transcript.name = names.map((line) => line.slice(NAME.length)).join('\n')
  transcript.qubesDb = qubesDb.filter((line) => !line.startsWith(NAME))
  readDevices(lines(devices.end, attributes.start), transcript)
  const attributeLines = lines(attributes.end, facts.start)
  if (facts.start - attributes.end >= ATTRIBUTE_BYTES) {
    transcript.truncated = true
    attributeLines.pop()
  }
  readAttributes(attributeLines, transcript)
  readFacts(lines(facts.end, end.start), transcript)
  return transcript
}

/** What a whole answer ends with, and no other has in it. */
export function lastLine(marker: string): string {
  return lineOf(marker, 'end')
}

/** A marker's line, with the line break before it, which may be the one that ended the last marker's line. */
function lineOf(marker: string, word: string): string {
  return `\n${marker} ${word}\n`
}

/** Where the line `MARKER WORD` starts, and where the line after it does. */
function sectionAfter(
  output: Buffer,
  marker: string,
  word: string,
  from: number | undefined,
): { start: number; end: number } | undefined {
  if (from === undefined) return undefined
  const line = lineOf(marker, word)
  const start = output.indexOf(line, Math.max(0, from - 1))
  return start < 0 ? undefined : { start, end: start + line.length }
}

function readDevices(lines: readonly string[], transcript: Transcript): void {
  let device: DeviceRecord | undefined
  for (const line of lines) {
    const [tag, first = '', second = '', third] = line.startsWith(' ') ? [' '] : line.split(' ', 4)
    if (tag === 'D' && third !== undefined && transcript.devices.length < DEVICE_LIMIT) {
      device = {
        port: first,
        driver: second,
        path: third,
        attributes: new Map(),
        interfaces: [],
        descriptors: [],
      }
      transcript.devices.push(device)
    } else if (tag === ' ' && device !== undefined && device.descriptors.length < DESCRIPTOR_LINES_LIMIT) {
      device.descriptors.push(line)
    } else if (tag === 'i' && device !== undefined && device.interfaces.length <= INTERFACE_LIMIT) {
      // One more than is allowed is kept, so that the device is known to have too many.
      device.interfaces.push({ name: first, driver: second, attributes: new Map() })
    } else if (tag === 'T') {
      transcript.truncated = true
    } else {
      // What follows must not become part of the device before.
      if (tag === 'D') device = undefined
      transcript.truncated ||= transcript.devices.length >= DEVICE_LIMIT
      transcript.rejected++
    }
  }
}

/** Gives each line to the device, the interface or the table that it names. */
function readAttributes(lines: readonly string[], transcript: Transcript): void {
  const owners = new Map<string, Attributes>()
  for (const { port, attributes, interfaces } of transcript.devices) {
    // Two of one port are dropped later, as a whole.
    owners.set(port, attributes)
    for (const { name, attributes: own } of interfaces) owners.set(`${port}/${port}:${name}`, own)
  }
  for (const line of lines) {
    const row = line.startsWith('../') ? VHCI_LINE.exec(line)?.[1] : undefined
    if (row !== undefined) {
      transcript.vhci ??= []
      transcript.vhci.push(row)
      continue
    }
    // An owner's path has no letter in it, and an attribute's name no colon.
    const start = line.search(LETTER)
    const end = line.indexOf(':', start)
    const attribute = end < 0 ? '' : line.slice(start, end)
    const isAttribute = line[start - 1] === '/' && ATTRIBUTE.test(attribute)
    const attributes = isAttribute ? owners.get(line.slice(0, start - 1)) : undefined
    if (attributes === undefined) {
      transcript.rejected++
      continue
    }
    const text = line.slice(end + 1)
    const known = attributes.get(attribute)
    if (known === undefined) attributes.set(attribute, [text])
    // Three lines tell no more than two.
    else if (known.length < 2) known.push(text)
  }
}

function readFacts(lines: readonly string[], transcript: Transcript): void {
  let block: Transcript['blocks'][number] | undefined
  for (const line of lines) {
    const blank = line.indexOf(' ')
    const tag = blank < 0 ? line : line.slice(0, blank)
    const rest = blank < 0 ? '' : line.slice(blank + 1)
    if (tag === 'h' && block !== undefined && block.holders.length < 64) {
      block.holders.push(rest)
    } else if (tag === 'B') {
      block = { fields: rest.split(' ', 4), holders: [] }
      transcript.blocks.push(block)
    } else if (tag === 'T') {
      transcript.truncated = true
    } else if (FACT_TAGS.has(tag)) {
      block = undefined
      const known = transcript.facts.get(tag)
      if (known === undefined) transcript.facts.set(tag, [rest])
      else if (known.length < FACT_LIMIT) known.push(rest)
      else {
        transcript.truncated = true
        transcript.rejected++
      }
    } else transcript.rejected++
  }
}
