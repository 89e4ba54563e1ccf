/**
 * What the probe prints, taken apart into lines of fields; nothing in it is believed yet.
 *
 *     MARKER begin 1
 *     N NAME                     the qube's own name
 *     MARKER qubesdb
 *     2-1_4/desc = …             lines of qubesdb-multiread, with or without /qubes-usb-devices/ before the key
 *     MARKER facts
 *     D PORT PATH                a USB device; the lines in small letters that follow are of it
 *     a BUSNUM DEVNUM VENDOR PRODUCT CLASS SPEED CONFIGURATION USBIP_STATUS DRIVER      `-` for none
 *     s|m|p TEXT                 serial, manufacturer, product; `s!` when there was more than one line
 *     i CONFIG.NUMBER CLASS SUBCLASS PROTOCOL DRIVER
 *      12 01 …                   bytes of its descriptors, when it shows no interfaces
 *     B NAME MAJOR:MINOR PATH    a block device below a USB bus; `h NAME` a holder of it
 *     E eventN PATH              an input device below a USB bus
 *     L loopN FILE, M DEVICE DIRECTORY, W DEVICE, V vbd-DOMID-ID MAJOR:MINOR (hex), I UNIT
 *     R [HUB PORT STATUS DEVID LOCAL]      a virtual host controller is there; its rows
 *     S VHCIPORT FILE            a state file; P PID WORD<tab>WORD… a process of an import
 *     X SERVICE                  a service that it offers; T: the probe stopped at its limit
 *     MARKER end
 */
export interface Transcript {
  /** Empty when the qube could not tell. */
  name: string
  qubesDb: string[]
  devices: DeviceRecord[]
  blocks: { fields: string[]; holders: string[] }[]
  /** The lines of each other tag, without the tag. */
  facts: Map<string, string[]>
  truncated: boolean
  /** Lines that were too long, too many or of no known form. */
  rejected: number
}

export interface DeviceRecord {
  port: string
  path: string
  attributes: string[]
  /** The texts by tag (`s`, `s!`, `m`, …), as often as they came. */
  texts: [tag: string, text: string][]
  interfaces: string[][]
  /** Lines of hex bytes. */
  descriptors: string[]
}

/** A page of sysfs, and room for the tag. */
const LINE_LIMIT = 4200
const LINES_LIMIT = 50_000
export const DEVICE_LIMIT = 1024
/** 4096 bytes in lines of 16. */
const DESCRIPTOR_LINES_LIMIT = 256
const INTERFACE_LIMIT = 64

const FACT_TAGS = new Set(['E', 'L', 'M', 'W', 'V', 'I', 'R', 'S', 'P', 'X'])

/**
 * Finds the probe's lines in what a qube's shell printed.
 * @param output all of stdout: a login profile may have printed before the marker and after it
 * @returns undefined where a marker is missing: an answer that may be cut off is none
 */
export function readTranscript(output: Buffer, marker: string): Transcript | undefined {
  const begin = sectionAfter(output, marker, 'begin 1', 0)
  const qubesDb = sectionAfter(output, marker, 'qubesdb', begin?.end)
  const facts = sectionAfter(output, marker, 'facts', qubesDb?.end)
  const end = sectionAfter(output, marker, 'end', facts?.end)
  if (begin === undefined || qubesDb === undefined || facts === undefined || end === undefined)
    return undefined

  const transcript: Transcript = {
    name: '',
    qubesDb: [],
    devices: [],
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
  transcript.name = lines(begin.end, qubesDb.start)
    .filter((line) => line.startsWith('N '))
    .map((line) => line.slice(2))
    .join('\n')
  transcript.qubesDb = lines(qubesDb.end, facts.start)
  readFacts(lines(facts.end, end.start), transcript)
  return transcript
}

/** Where the line `MARKER WORD` starts, and where the line after it does. */
function sectionAfter(
  output: Buffer,
  marker: string,
  word: string,
  from: number | undefined,
): { start: number; end: number } | undefined {
  if (from === undefined) return undefined
  const line = `\n${marker} ${word}\n`
  // The line break before may be the one that ended the last marker's line.
  const start = output.indexOf(line, Math.max(0, from - 1))
  return start < 0 ? undefined : { start, end: start + line.length }
}

function readFacts(lines: string[], transcript: Transcript): void {
  let device: DeviceRecord | undefined
  let block: Transcript['blocks'][number] | undefined
  const reject = (): void => {
    transcript.rejected++
  }
  for (const line of lines) {
    if (line.startsWith(' ')) {
      if (device === undefined || device.descriptors.length >= DESCRIPTOR_LINES_LIMIT) reject()
      else device.descriptors.push(line)
      continue
    }
    const blank = line.indexOf(' ')
    const tag = blank < 0 ? line : line.slice(0, blank)
    const rest = blank < 0 ? '' : line.slice(blank + 1)
    switch (tag) {
      case 'D': {
        block = undefined
        device = openDevice(rest)
        if (transcript.devices.length < DEVICE_LIMIT) transcript.devices.push(device)
        else {
          transcript.truncated = true
          reject()
        }
        break
      }
      case 'a':
        if (device === undefined || device.attributes.length > 0) reject()
        else device.attributes = rest.split(' ')
        break
      case 's':
      case 's!':
      case 'm':
      case 'm!':
      case 'p':
      case 'p!':
        if (device === undefined || device.texts.length >= 8) reject()
        else device.texts.push([tag, rest])
        break
      case 'i':
        // One more than is allowed is kept, so that the device is known to have too many.
        if (device === undefined || device.interfaces.length > INTERFACE_LIMIT) reject()
        else device.interfaces.push(rest.split(' '))
        break
      case 'B':
        device = undefined
        block = { fields: rest.split(' '), holders: [] }
        transcript.blocks.push(block)
        break
      case 'h':
        if (block === undefined || block.holders.length >= 64) reject()
        else block.holders.push(rest)
        break
      case 'T':
        transcript.truncated = true
        break
      default: {
        device = undefined
        block = undefined
        if (!FACT_TAGS.has(tag)) {
          reject()
          break
        }
        const known = transcript.facts.get(tag)
        if (known === undefined) transcript.facts.set(tag, [rest])
        else known.push(rest)
      }
    }
  }
}

function openDevice(rest: string): DeviceRecord {
  const blank = rest.indexOf(' ')
  return {
    port: blank < 0 ? rest : rest.slice(0, blank),
    path: blank < 0 ? '' : rest.slice(blank + 1),
    attributes: [],
    texts: [],
    interfaces: [],
    descriptors: [],
  }
}
