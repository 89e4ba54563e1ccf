import { type Device, isSame } from '../model/device.ts'
import type { QubeName } from '../model/names.ts'
import { listQrexecSockets } from '../qubes/qrexec.ts'
import { describeDevice } from './choose.ts'
import type { Context } from './context.ts'
import type { WatchEvent } from './results.ts'

interface SeenQube {
  state: 'running' | 'paused' | 'halted' | 'changing'
  domainId: number | null
}

/** What a watcher saw at one moment. */
export interface Sight {
  devices: ReadonlyMap<QubeName, readonly Device[]>
  qubes: ReadonlyMap<QubeName, SeenQube>
  /** Who says which qubes run: each knows of others, so that two looks by different ones are not compared. */
  qubesBy: 'qubesd' | 'sockets'
}

/** Which qubes run: by qubesd's word, else by their sockets, which tell a restart in either case. */
export async function seeQubes(context: Context): Promise<Pick<Sight, 'qubes' | 'qubesBy'>> {
  const known = await context.directory.qubes()
  const sockets = listQrexecSockets(context.site)
  const domainId = (name: QubeName): number | null => sockets.get(name)?.domainId ?? null
  if (known === undefined) {
    const qubes = [...sockets.keys()].map(
      (name) => [name, { state: 'running' as const, domainId: domainId(name) }] as const,
    )
    return { qubes: new Map(qubes), qubesBy: 'sockets' }
  }
  const qubes = [...known.values()].map(
    ({ name, state }) => [name, { state, domainId: state === 'halted' ? null : domainId(name) }] as const,
  )
  return { qubes: new Map(qubes), qubesBy: 'qubesd' }
}

type Change = Omit<WatchEvent, 'schema' | 'at' | 'source'>

export const NO_CHANGE = {
  qube: null,
  backend: null,
  port: null,
  frontend: null,
  vendorId: null,
  productId: null,
  serial: null,
  description: null,
  rule: null,
  message: null,
} as const

/** What has changed between two looks, in the order in which it must have happened. Pure. */
export function compareSights(before: Sight, after: Sight): Change[] {
  const qubes = before.qubesBy === after.qubesBy ? compareQubes(before, after) : []
  const ended = qubes.filter(({ event }) => event === 'qube-stopped' || event === 'qube-paused')
  const begun = qubes.filter((change) => !ended.includes(change))
  const devices = compareDevices(before, after)
  const gone = devices.filter(({ event }) => event === 'device-detached' || event === 'device-removed')
  return [...ended, ...gone, ...begun, ...devices.filter((change) => !gone.includes(change))]
}

function compareDevices(before: Sight, after: Sight): Change[] {
  const gone: Change[] = []
  const come: Change[] = []
  const old = offered(before)
  const now = offered(after)
  for (const [place, was] of old) {
    const is = now.get(place)
    const stays = is !== undefined && isSame(is, was)
    if (was.attachedTo !== null && !(stays && holderOf(is, was) === was.attachedTo)) {
      gone.push(tell('device-detached', was, was.attachedTo))
    }
    if (!stays) gone.push(tell('device-removed', was, null))
  }
  for (const [place, is] of now) {
    const was = old.get(place)
    const stays = was !== undefined && isSame(is, was)
    if (!stays) come.push(tell('device-added', is, null))
    const holder = stays ? holderOf(is, was) : is.attachedTo
    if (holder !== null && !(stays && was.attachedTo === holder))
      come.push(tell('device-attached', is, holder))
  }
  return [...gone, ...come]
}

/**
 * A backend that does not know for the moment has not taken the device from anybody. By qubesd's word it is only unknown
 * whether another has it.
 */
function holderOf(is: Device, was: Device): QubeName | null {
  return is.state === 'unknown' && is.toldBy === 'backend' ? was.attachedTo : is.attachedTo
}

/** The devices that a listing shows, by place. */
function offered({ devices }: Sight): Map<string, Device> {
  const shown = [...devices.values()]
    .flat()
    .filter((device) => (!device.hub && !device.hidden) || device.attachedTo !== null)
  return new Map(shown.map((device) => [`${device.backend}:${device.port}`, device]))
}

function tell(event: Change['event'], device: Device, frontend: QubeName | null): Change {
  const { backend, port, vendorId, productId, serial } = device
  return {
    ...NO_CHANGE,
    event,
    backend,
    port,
    frontend,
    vendorId,
    productId,
    serial,
    description: describeDevice(device),
  }
}

function compareQubes(before: Sight, after: Sight): Change[] {
  const names = new Set([...before.qubes.keys(), ...after.qubes.keys()])
  return [...names].flatMap((name) => {
    const was = before.qubes.get(name) ?? HALTED
    const is = after.qubes.get(name) ?? HALTED
    // On its way up or down: what comes of it shows later.
    if (is.state === 'changing' || was.state === 'changing') {
      return was.state !== is.state && is.state === 'running' ? [say('qube-started', name)] : []
    }
    const events: Change[] = []
    const restarted = was.domainId !== null && is.domainId !== null && was.domainId !== is.domainId
    if (was.state !== 'halted' && (is.state === 'halted' || restarted)) events.push(say('qube-stopped', name))
    if (is.state !== 'halted' && (was.state === 'halted' || restarted)) events.push(say('qube-started', name))
    if (is.state === 'paused' && (was.state !== 'paused' || restarted)) events.push(say('qube-paused', name))
    if (is.state === 'running' && was.state === 'paused' && !restarted)
      events.push(say('qube-unpaused', name))
    return events
  })
}

const HALTED: SeenQube = { state: 'halted', domainId: null }

const say = (event: Change['event'], qube: QubeName): Change => ({ ...NO_CHANGE, event, qube })
