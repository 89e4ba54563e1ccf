import { parseQubeName, type QubeName } from '../../model/names.ts'
import { type Port, parsePort } from '../../model/port.ts'
import { cleanText } from '../../model/text.ts'
import { type ClaimedIdentity, parseDeviceId } from './device-id.ts'
import { readProperties } from './properties.ts'

/**
 * A line of `Available`, of either generation (docs/facts.md#device-lines), and of no class of device in particular.
 */
interface AvailableLine {
  /** As it stands: a USB port, a PCI address. */
  portId: string
  /** Not validated; null in Qubes 4.2, where there is none. */
  deviceId: string | null
  /** Clean. What the device claims to be. */
  description: string
  /** Clean; null where it is not told apart from the description. */
  manufacturer: string | null
  product: string | null
  /** Who has it, where qubesd says so here. */
  attachedTo: QubeName | null
  /** The run of codes of its interfaces as it stands; '' where there is none. */
  interfaces: string
}

/** A line of `Attached`, `Assigned`, or `List` in Qubes 4.2. */
interface HeldLine extends Pick<AvailableLine, 'portId' | 'deviceId'> {
  backend: QubeName
  /** As it stands: `manual`, `auto-attach`, …; null in Qubes 4.2 where it is not persistent. */
  mode: string | null
}

/** Lines that were read, and how many could not be. */
export interface Lines<T> {
  entries: T[]
  rejected: number
}

/** More devices than a qube can have. */
const LINE_LIMIT = 1024
const OLD_LINE_LIMIT = 4096

/** A USB port, a PCI address, `*` for any. */
const isPortId = (text: string): boolean => text === '*' || /^[0-9a-zA-Z][0-9a-zA-Z._-]{0,63}$/.test(text)

/** Reads the answer to `admin.vm.device.CLASS.Available`. */
export function parseAvailable(text: string): Lines<AvailableLine> {
  return readLines(text, (line) => {
    const properties = readProperties(line, (head, found) =>
      headFits(head, found.get('port_id'), found.get('device_id')),
    )
    if (properties !== undefined) {
      const claim = ['manufacturer', 'product', 'name']
        .map((key) => properties.get(key) ?? '')
        .filter((part) => part !== '')
        .join(' ')
      return {
        portId: properties.get('port_id') ?? '',
        deviceId: properties.get('device_id') ?? null,
        description: cleanText(claim, 400).text,
        manufacturer: readClaim(properties.get('manufacturer')),
        product: readClaim(properties.get('product')),
        attachedTo: parseQubeName(properties.get('attachment') ?? '') ?? null,
        interfaces: properties.get('interfaces') ?? '',
      }
    }
    const old = readOldLine(line)
    if (old === undefined || !isPortId(old.head) || old.fields.description === undefined) return undefined
    return {
      portId: old.head,
      deviceId: null,
      description: cleanText(old.fields.description, 400).text,
      manufacturer: null,
      product: null,
      attachedTo: null,
      interfaces: '',
    }
  })
}

/** What a device says of itself; qubesd writes `unknown` for nothing (core-admin, qubes/device_protocol.py). */
function readClaim(value: string | undefined): string | null {
  const { text } = cleanText(value ?? '', 200)
  return text === '' || text === 'unknown' ? null : text
}

/** Reads the answer to `Attached`, `Assigned` or `List`. */
export function parseHeld(text: string): Lines<HeldLine> {
  return readLines(text, (line) => {
    const properties = readProperties(line, (head, found) => {
      const backend = found.get('backend_domain') ?? ''
      return (
        head.startsWith(`${backend}+`) &&
        headFits(head.slice(backend.length + 1), found.get('port_id'), found.get('device_id'))
      )
    })
    if (properties !== undefined) {
      const backend = parseQubeName(properties.get('backend_domain') ?? '')
      if (backend === undefined) return undefined
      return {
        backend,
        portId: properties.get('port_id') ?? '',
        deviceId: properties.get('device_id') ?? null,
        mode: properties.get('mode') ?? null,
      }
    }
    const old = readOldLine(line)
    const [name = '', portId = '', ...more] = old?.head.split('+', 3) ?? []
    const backend = parseQubeName(name)
    if (old === undefined || backend === undefined || !isPortId(portId) || more.length > 0) return undefined
    const persistent = old.fields.persistent === 'True' || old.fields.persistent === 'yes'
    return { backend, portId, deviceId: null, mode: persistent ? 'required' : null }
  })
}

/** The head says again what two of the properties say. */
function headFits(head: string, portId: string | undefined, deviceId: string | undefined): boolean {
  if (portId === undefined || !isPortId(portId)) return false
  return head === portId || (deviceId !== undefined && head === `${portId}:${deviceId}`)
}

/** Qubes 4.2: `HEAD key=value … description=all the rest`. */
function readOldLine(line: string): { head: string; fields: Record<string, string> } | undefined {
  if (line.length > OLD_LINE_LIMIT) return undefined
  const [head = '', ...words] = line.split(' ')
  const fields: Record<string, string> = {}
  for (const [i, word] of words.entries()) {
    const [, key, value] = /^([a-z_-]{1,64})=(.*)$/s.exec(word) ?? []
    if (key === undefined || value === undefined) return undefined
    if (key === 'description') {
      fields[key] = [value, ...words.slice(i + 1)].join(' ')
      break
    }
    // The head of a newer line that could not be read is no older line.
    if (value.startsWith("'")) return undefined
    fields[key] = value
  }
  return { head, fields }
}

function readLines<T>(text: string, read: (line: string) => T | undefined): Lines<T> {
  const lines = text.split('\n').filter((line) => line !== '')
  const entries = lines.slice(0, LINE_LIMIT).flatMap((line) => read(line) ?? [])
  return { entries, rejected: lines.length - entries.length }
}

/** A USB device that a qube offers. */
export interface OfferedDevice
  extends Pick<AvailableLine, 'description' | 'manufacturer' | 'product' | 'attachedTo'> {
  port: Port
  /** null: qubesd knows nothing of it, as in Qubes 4.2. */
  identity: ClaimedIdentity | null
  /** As qubesd writes it; null in Qubes 4.2. */
  deviceId: string | null
}

/** Takes the USB devices out of lines: a port or an id that cannot be is rejected. */
export function readOffered({ entries, rejected }: Lines<AvailableLine>): Lines<OfferedDevice> {
  const devices = entries.flatMap(({ portId, deviceId, interfaces: _, ...told }) => {
    const port = parsePort(portId)
    const identity = deviceId === null ? null : parseDeviceId(deviceId)
    return port === undefined || identity === undefined ? [] : [{ port, identity, deviceId, ...told }]
  })
  return { entries: devices, rejected: rejected + entries.length - devices.length }
}

/** Where a device is that a qube has. */
export interface HeldDevice {
  backend: QubeName
  port: Port
}

/** Takes what a frontend has out of lines: those of Qubes 4.2 that last are so whether or not it has the device. */
export function readHeld({ entries, rejected }: Lines<HeldLine>): Lines<HeldDevice> {
  const certain = entries.filter(({ deviceId, mode }) => deviceId !== null || mode === null)
  const held = certain.flatMap(({ backend, portId }) => {
    const port = parsePort(portId)
    return port === undefined ? [] : [{ backend, port }]
  })
  return { entries: held, rejected: rejected + certain.length - held.length }
}

export type AssignmentMode = 'auto-attach' | 'ask-to-attach' | 'required'

/** What qubesd will attach by itself; null stands for any port, and for any device. */
export interface Assignment {
  frontend: QubeName
  backend: QubeName
  port: Port | null
  identity: ClaimedIdentity | null
  mode: AssignmentMode
}

/** Takes the assignments of USB devices to a frontend out of lines. */
export function readAssignments(
  frontend: QubeName,
  { entries, rejected }: Lines<HeldLine>,
): Lines<Assignment> {
  const assignments = entries.flatMap(({ backend, portId, deviceId, mode }) => {
    const port = portId === '*' ? null : parsePort(portId)
    const identity = deviceId === null || deviceId === '*' ? null : parseDeviceId(deviceId)
    if (port === undefined || identity === undefined || !isMode(mode)) return []
    return [{ frontend, backend, port, identity, mode }]
  })
  // What is merely attached stands among the lines of Qubes 4.2, and is no assignment.
  const plain = entries.filter(({ mode }) => mode === null).length
  return { entries: assignments, rejected: rejected + entries.length - assignments.length - plain }
}

const isMode = (mode: string | null): mode is AssignmentMode =>
  mode === 'auto-attach' || mode === 'ask-to-attach' || mode === 'required'

/** Whether a PCI device of dom0 is a USB controller: by its interface code, or by what it is described as. */
export function isUsbController(line: AvailableLine): boolean {
  const code = /(?:^|:)(?:[a-z?][0-9a-f*]{6})*p0c03/
  return (
    code.test(line.interfaces) ||
    code.test(line.deviceId ?? '') ||
    line.description.startsWith('USB controller')
  )
}

/** Reads interface codes that a qube is denied, `u03****`. @returns undefined where one of them is none */
export function parseDenied(text: string): string[] | undefined {
  const codes = text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]))
  return codes.length <= LINE_LIMIT && codes.every((code) => /^[a-z?][0-9a-f*]{6}$/.test(code))
    ? codes
    : undefined
}

/** The entry of a deny list that a device with these interfaces meets; undefined for none. */
export function findDenial(denied: readonly string[], interfaces: readonly string[]): string | undefined {
  return denied.find(
    (entry) =>
      entry.startsWith('u') &&
      interfaces.some((code) => [...entry.slice(1)].every((want, i) => want === '*' || want === code[i])),
  )
}
