import { usbId } from './lines.ts'
import type { World } from './world.ts'

/** An event as it goes over the socket, without its framing. */
export interface LabEvent {
  readonly subject: string
  readonly name: string
  readonly values: Readonly<Record<string, string>>
}

/** What the last look saw: qubes by name, devices by place. */
interface Snapshot {
  readonly qubes: ReadonlyMap<string, { domid: number | null; state: string }>
  readonly devices: ReadonlyMap<string, { backend: string; id: string; attachedTo: string | null }>
}

export async function takeSnapshot(world: World): Promise<Snapshot> {
  const devices = await world.devices()
  return {
    qubes: new Map(
      world.qubes().map(({ definition, domid, state }) => [definition.name, { domid, state }] as const),
    ),
    devices: new Map(
      devices
        .filter(({ hidden }) => !hidden)
        .map((device) => [
          `${device.backend}:${device.port}`,
          { backend: device.backend, id: usbId(device), attachedTo: device.attachedTo },
        ]),
    ),
  }
}

/** What has happened between two looks, as qubesd tells it: it too looks, and tells the difference. */
export function compare(before: Snapshot, after: Snapshot): readonly LabEvent[] {
  return [...compareDevices(before, after), ...compareQubes(before, after)]
}

function compareDevices(before: Snapshot, after: Snapshot): LabEvent[] {
  const events: LabEvent[] = []
  const say = (subject: string, name: string, values: Record<string, string>): void => {
    events.push({ subject, name, values })
  }
  for (const [place, was] of before.devices) {
    const is = after.devices.get(place)
    const gone = is === undefined || is.id !== was.id
    if (was.attachedTo !== null && (gone || is.attachedTo !== was.attachedTo)) {
      say(was.attachedTo, 'device-detach:usb', { port: place })
    }
    if (gone) say(was.backend, 'device-removed:usb', { port: place })
  }
  for (const [place, is] of after.devices) {
    const was = before.devices.get(place)
    const fresh = was === undefined || was.id !== is.id
    if (fresh) say(is.backend, 'device-added:usb', { device: `${place}:${is.id}` })
    if (is.attachedTo !== null && (fresh || was.attachedTo !== is.attachedTo)) {
      say(is.attachedTo, 'device-attach:usb', { device: `${place}:${is.id}`, options: '{}' })
    }
  }
  return events
}

function compareQubes(before: Snapshot, after: Snapshot): LabEvent[] {
  return [...after.qubes].flatMap(([name, is]) => {
    const was = before.qubes.get(name)
    const say = (event: string): LabEvent => ({ subject: name, name: event, values: {} })
    const events: LabEvent[] = []
    if (was !== undefined && was.domid !== null && was.domid !== is.domid) events.push(say('domain-shutdown'))
    if (is.domid !== null && was?.domid !== is.domid) events.push(say('domain-spawn'), say('domain-start'))
    if (was?.domid === is.domid && was?.state !== is.state) {
      if (is.state === 'paused') events.push(say('domain-paused'))
      else if (was?.state === 'paused') events.push(say('domain-unpaused'))
    }
    return events
  })
}

/** An event as it goes over the socket. */
export function formatEvent({ subject, name, values }: LabEvent): string {
  const fields = Object.entries(values).map(([key, value]) => `${key}\0${value}\0`)
  return `1\0${subject}\0${name}\0${fields.join('')}\0`
}
