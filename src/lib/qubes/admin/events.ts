import { parseQubeName, type QubeName } from '../../model/names.ts'
import { type Port, parsePort } from '../../model/port.ts'
import { type ClaimedIdentity, parseDeviceId } from './device-id.ts'

/** What qubesd tells of, as far as it is about USB devices and the qubes that have them. */
export type AdminEvent =
  /** The stream begins, again perhaps: what was known before may be wrong. */
  | { kind: 'connected' }
  | { kind: 'device-added'; backend: QubeName; port: Port; identity: ClaimedIdentity | null }
  | { kind: 'device-removed'; backend: QubeName; port: Port }
  | { kind: 'device-attach' | 'device-detach'; frontend: QubeName; backend: QubeName; port: Port }
  | { kind: QubeEvent; qube: QubeName }

type QubeEvent = 'domain-start' | 'domain-shutdown' | 'domain-spawn' | 'domain-paused' | 'domain-unpaused'

/** A record of the stream as it stands. */
interface EventRecord {
  subject: string
  name: string
  values: ReadonlyMap<string, string>
}

const RECORD_LIMIT = 64 * 1024
const FIELD_LIMIT = 512

/** What is wrong with a stream that is none of qubesd's. */
export class StreamError extends Error {}

/** Cuts a stream of bytes into records `1\0SUBJECT\0EVENT\0[KEY\0VALUE\0]*\0`. */
export class EventReader {
  #rest: Buffer = Buffer.alloc(0);

  /**
   * Takes the next bytes, and gives the records that are complete by now.
   * @throws StreamError for what is no stream of events; nothing more can be read then
   */
  *read(chunk: Buffer): Generator<EventRecord, void> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    for (let cut = cutRecord(this.#rest); cut !== undefined; cut = cutRecord(this.#rest)) {
      this.#rest = this.#rest.subarray(cut.end)
      yield cut.record
    }
    if (this.#rest.length > RECORD_LIMIT) throw new StreamError('an event without end')
  }
}

function cutRecord(bytes: Buffer): { record: EventRecord; end: number } | undefined {
  if (bytes.length > 0 && bytes[0] !== 0x31) throw new StreamError('no event')
  if (bytes.length > 1 && bytes[1] !== 0) throw new StreamError('no event')
  let at = 2
  const next = (): string | undefined => {
    const nul = at > bytes.length ? -1 : bytes.indexOf(0, at)
    if (nul < 0) return undefined
    if (nul - at > RECORD_LIMIT) throw new StreamError('a field without end')
    const field = bytes.toString('utf8', at, nul)
    at = nul + 1
    return field
  }
  const subject = next()
  const name = next()
  if (subject === undefined || name === undefined) return undefined
  const values = new Map<string, string>()
  for (let fields = 0; ; fields++) {
    const key = next()
    if (key === undefined) return undefined
    if (key === '') return { record: { subject, name, values }, end: at }
    const value = next()
    if (value === undefined) return undefined
    if (fields >= FIELD_LIMIT) throw new StreamError('too many fields')
    values.set(key, value)
  }
}

const QUBE_EVENTS: readonly string[] = [
  'domain-start',
  'domain-shutdown',
  'domain-spawn',
  'domain-paused',
  'domain-unpaused',
] satisfies QubeEvent[]

/** What a record means to us; undefined for one that means nothing, or cannot be true. */
export function readEvent({ subject, name, values }: EventRecord): AdminEvent | undefined {
  if (name === 'connection-established') return { kind: 'connected' }
  const qube = parseQubeName(subject)
  if (qube === undefined) return undefined
  if (isQubeEvent(name)) return { kind: name, qube }
  const place = readPlace(values.get('device') ?? values.get('port') ?? '')
  if (place === undefined) return undefined
  const { backend, port, deviceId } = place
  switch (name) {
    case 'device-added:usb': {
      const identity = deviceId === undefined ? null : (parseDeviceId(deviceId) ?? null)
      return backend === qube ? { kind: 'device-added', backend, port, identity } : undefined
    }
    case 'device-removed:usb':
      return backend === qube ? { kind: 'device-removed', backend, port } : undefined
    case 'device-attach:usb':
      return { kind: 'device-attach', frontend: qube, backend, port }
    case 'device-detach:usb':
      return { kind: 'device-detach', frontend: qube, backend, port }
    default:
      return undefined
  }
}

const isQubeEvent = (name: string): name is QubeEvent => QUBE_EVENTS.includes(name)

/** `sys-usb:2-1`, with the device's id behind it or not. */
function readPlace(
  text: string,
): { backend: QubeName; port: Port; deviceId: string | undefined } | undefined {
  const [, name = '', portId = '', deviceId] =
    /^([^:]{1,31}):([^:]{1,64})(?::(.{1,1024}))?$/s.exec(text) ?? []
  const backend = parseQubeName(name)
  const port = parsePort(portId)
  return backend === undefined || port === undefined ? undefined : { backend, port, deviceId }
}
