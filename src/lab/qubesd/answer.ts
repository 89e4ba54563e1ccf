import type { AssignmentDefinition } from '../file/schema.ts'
import type { QubeState } from '../qubes.ts'
import { attachDevice, detachDevice } from './attach.ts'
import { assignmentLine, heldLine, pciDevices, pciId, pciLine, usbId, usbLine } from './lines.ts'
import { type Generation, protocolError, QubesdException, qubeOf, type World } from './world.ts'

/** A request as it came over the socket. */
export interface Request {
  /** Who calls: `dom0` or a qube that policy let through. */
  readonly source: string
  readonly method: string
  readonly arg: string
  readonly dest: string
  readonly payload: string
}

/** What qubesd is like, and what it believes. */
export interface Belief {
  readonly generation: Generation
  readonly assignments: readonly AssignmentDefinition[]
  /** Attachments that never were: left by attaches that failed. */
  readonly stale: readonly { frontend: string; backend: string; port: string }[]
  readonly lying: boolean
}

const STATES: Readonly<Record<QubeState, string>> = {
  running: 'Running',
  paused: 'Paused',
  halted: 'Halted',
  killed: 'Halted',
}

/**
 * Answers one call from the lab's state.
 * @throws QubesdException; ProtocolError for what this generation does not know
 */
export async function answer(world: World, belief: Belief, request: Request): Promise<string> {
  const { method, arg, dest, payload } = request
  const [, devclass, verb] = /^admin\.vm\.device\.(usb|pci)\.([A-Za-z.]+)$/.exec(method) ?? []
  if (devclass === 'usb' && (verb === 'Attach' || verb === 'Detach')) {
    if (verb === 'Attach') await attachDevice(world, belief.generation, dest, arg, payload)
    else await detachDevice(world, belief.generation, dest, arg)
    return ''
  }
  if (method === 'admin.vm.feature.Set') {
    const service = /^service\.([a-z0-9-]{1,48})$/.exec(arg)?.[1]
    if (service === undefined) throw protocolError(arg)
    qubeOf(world, dest)
    world.setService(dest, service, payload !== '')
    return ''
  }
  if (payload !== '') throw protocolError('unexpected payload')
  if (dest !== 'dom0') qubeOf(world, dest)
  if (verb !== undefined) {
    return devclass === 'pci'
      ? sayPci(world, belief, verb, dest, arg)
      : await sayUsb(world, belief, verb, dest, arg)
  }
  switch (method) {
    case 'admin.vm.List':
      return sayQubes(world, belief, request.source)
    case 'admin.vm.device.denied.List':
      if (belief.generation === '4.2') throw protocolError(method)
      return qubeOf(world, dest).definition.denied.join('\n')
    case 'admin.vm.property.Get':
      return sayProperty(world, dest, arg)
    case 'admin.vm.Start':
      await startQube(world, dest)
      return ''
    case 'admin.vm.Shutdown':
    case 'admin.vm.Kill':
      if (qubeOf(world, dest).domid === null) throw notStarted(dest)
      await world.stop(dest, method === 'admin.vm.Kill' ? 'kill' : 'halt')
      return ''
    case 'admin.vm.Pause':
    case 'admin.vm.Unpause':
      if (qubeOf(world, dest).domid === null) throw notStarted(dest)
      await world.pause(dest, method === 'admin.vm.Pause')
      return ''
    default:
      throw protocolError(method)
  }
}

const notStarted = (name: string): QubesdException =>
  new QubesdException('QubesVMNotStartedError', `Domain is powered off: '${name}'`)

/** A qube that runs is started already; a paused one is none of ours. */
async function startQube(world: World, name: string): Promise<void> {
  const { state } = qubeOf(world, name)
  if (state === 'paused') {
    throw new QubesdException('QubesVMNotHaltedError', `Domain is not powered off: '${name}'`)
  }
  if (state !== 'running') await world.start(name)
}

/** The template is the one property that the lab has. */
function sayProperty(world: World, dest: string, name: string): string {
  const { template } = qubeOf(world, dest).definition
  if (name !== 'template' || template === undefined) {
    throw new QubesdException('QubesNoSuchPropertyError', `Invalid property '${name}' of ${dest}`)
  }
  return `default=False type=vm ${template}`
}

/** A qube is told of those qubes that policy lets it list (core-admin, qubes/ext/admin.py). */
function sayQubes(world: World, { lying }: Belief, source: string): string {
  const lines = world
    .qubes()
    .filter(({ definition }) => world.permits(source, definition.name, 'admin.vm.List'))
    .map(({ definition, state }) => `${definition.name} class=${definition.class} state=${STATES[state]}\n`)
  const lies = lying
    ? ['bad name class=AppVM state=Running\n', '\u001b[31mred class=AppVM state=Running\n']
    : []
  return ['dom0 class=AdminVM state=Running\n', ...lines, ...lies].join('')
}

function sayPci(world: World, { generation }: Belief, verb: string, dest: string, arg: string): string {
  const devices = pciDevices(world).filter(({ address }) => arg === '' || arg === address)
  if (verb === 'Available') {
    return dest === 'dom0' ? devices.map((device) => pciLine(device, generation)).join('') : ''
  }
  if (verb !== (generation === '4.2' ? 'List' : verb === 'Attached' ? 'Attached' : 'Assigned')) {
    throw protocolError(verb)
  }
  const runs = dest !== 'dom0' && qubeOf(world, dest).domid !== null
  if (verb === 'Attached' && !runs) return ''
  return devices
    .filter(({ qube }) => qube === dest)
    .map((device) =>
      heldLine(
        {
          backend: 'dom0',
          port: device.address,
          id: pciId(device),
          frontend: dest,
          mode: 'required',
          devclass: 'pci',
        },
        generation,
      ),
    )
    .join('')
}

async function sayUsb(
  world: World,
  belief: Belief,
  verb: string,
  dest: string,
  arg: string,
): Promise<string> {
  const { generation, lying } = belief
  const assigned = (): string[] =>
    belief.assignments
      .filter(({ frontend }) => frontend === dest)
      .map((assignment) => assignmentLine(assignment, generation))
  if (generation === '4.3' && verb === 'Assigned') return assigned().join('')
  const publishes = world.qubes().some(({ definition: { name, backend } }) => backend && name === dest)
  // Nobody need look into virtual machines for what a qube has that publishes nothing.
  const needless = verb === 'Available' && !publishes
  const devices = needless ? [] : (await world.devices()).filter(({ hidden }) => !hidden)
  if (verb === 'Available') {
    const offered = devices.filter(({ backend, port }) => backend === dest && (arg === '' || arg === port))
    const lies = lying
      ? [`9-9:dead:beef:x' port_id='2-1:u030101 device_id='dead:beef::u030101' port_id='9-9'\n`]
      : []
    return [...offered.map((device) => usbLine(device, generation)), ...lies].join('')
  }
  const attached = (): string[] => {
    const real = devices.filter(({ attachedTo }) => attachedTo === dest)
    const believed = devices.filter(({ backend, port }) =>
      belief.stale.some((each) => each.frontend === dest && each.backend === backend && each.port === port),
    )
    return [...new Set([...real, ...believed, ...(lying ? devices : [])])].map((device) =>
      heldLine(
        {
          backend: device.backend,
          port: device.port,
          id: usbId(device),
          frontend: dest,
          mode: 'manual',
          devclass: 'usb',
        },
        generation,
      ),
    )
  }
  if (generation === '4.2') {
    if (verb !== 'List') throw protocolError(verb)
    return [...attached(), ...assigned()].join('')
  }
  if (verb === 'Attached') return attached().join('')
  throw protocolError(verb)
}
