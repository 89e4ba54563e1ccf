import { NotInThisEngine } from '../engine.ts'
import type { DeviceDefinition } from '../file/schema.ts'
import { SOCKETS, type Vm } from './vm.ts'

/** A device that QEMU has plugged into a guest. */
export interface QemuDevice {
  /** As the guest's sysfs calls it. */
  readonly port: string
  /** The socket of the controller that it sits in, counted from 1. */
  readonly socket: number
  readonly kind: string
  readonly hidden: boolean
  /** QEMU's names for what makes it up. */
  readonly device: string
  readonly block?: string
  readonly channel?: string
  /** The image of a stick. */
  readonly image?: string
}

/** What a device needs from this machine. */
export interface DeviceSupplies {
  /** The image file of a stick. */
  readonly image: string
  /** A folder that a media player shows. */
  readonly folder: string
  /** A port on 127.0.0.1 that sends back what it gets: the far end of a serial adapter. */
  readonly echoPort: number
}

interface Model {
  readonly driver: string
  /** The ids that QEMU gives it. */
  readonly vendorId: string
  readonly productId: string
}

/** The kinds that QEMU has. */
const MODELS: Readonly<Record<string, Model>> = {
  stick: { driver: 'usb-storage', vendorId: '46f4', productId: '0001' },
  keyboard: { driver: 'usb-kbd', vendorId: '0627', productId: '0001' },
  tablet: { driver: 'usb-tablet', vendorId: '0627', productId: '0001' },
  serial: { driver: 'usb-serial', vendorId: '0403', productId: '6001' },
  mtp: { driver: 'usb-mtp', vendorId: '46f4', productId: '0004' },
}

/** The controller's buses in the guest: Linux registers its USB 2 half first. */
const BUS = { highSpeed: 1, superSpeed: 2 }

/** What can be in a socket's place for a hub, with the ports behind it. */
const isBehindHub = (port: string) => port.includes('.')

/**
 * Chooses the socket for a device, and so its port. Throws NotInThisEngine where QEMU or its controller has
 * nothing like it, and an Error when the place is taken.
 */
export function choosePort(
  device: DeviceDefinition,
  plugged: readonly QemuDevice[],
): { port: string; socket: number } {
  const model = modelOf(device)
  const differs = (field: 'vendorId' | 'productId') =>
    device[field] !== undefined && device[field] !== model[field]
  if (
    differs('vendorId') ||
    differs('productId') ||
    device.manufacturer !== undefined ||
    device.product !== undefined
  )
    throw new NotInThisEngine(
      `QEMU's ${device.kind} is ${model.vendorId}:${model.productId} and keeps its names: the process engine makes others`,
    )
  if (device.serial === null)
    throw new NotInThisEngine('QEMU gives every device a serial: the process engine makes one without')
  const isFast =
    device.kind === 'stick' && (device.speed ?? (device.port?.startsWith('1-') ? 480 : 5000)) === 5000
  const taken = new Set(plugged.filter(({ port }) => !isBehindHub(port)).map(({ socket }) => socket))
  const hubs = new Set(plugged.filter(({ port }) => isBehindHub(port)).map(({ socket }) => socket))
  if (device.port === undefined) {
    const first = isFast ? 1 : SOCKETS.superSpeed + 1
    const last = isFast ? SOCKETS.superSpeed : SOCKETS.all
    for (let socket = first; socket <= last; socket++)
      if (!taken.has(socket) && !hubs.has(socket))
        return { socket, port: `${isFast ? BUS.superSpeed : BUS.highSpeed}-${socket}` }
    throw new Error(`${device.backend} has no free socket for a ${device.kind}`)
  }
  const [bus, path = ''] = device.port.split('-')
  const socket = Number(path.split('.')[0])
  const behindHub = isBehindHub(device.port)
  const fits = isFast
    ? bus === `${BUS.superSpeed}` && socket <= SOCKETS.superSpeed && !behindHub
    : bus === `${BUS.highSpeed}` &&
      socket <= SOCKETS.all &&
      (device.kind !== 'stick' || behindHub || socket > SOCKETS.superSpeed) &&
      path.split('.').length <= 2
  if (!fits)
    throw new NotInThisEngine(
      `a ${device.kind} cannot be at ${device.port} in the kernel engine: at SuperSpeed 2-1 to 2-${SOCKETS.superSpeed}, ` +
        `a stick at 480 Mb/s 1-${SOCKETS.superSpeed + 1} to 1-${SOCKETS.all}, the others 1-1 to 1-${SOCKETS.all}, behind a hub 1-N.1 to 1-N.8`,
    )
  if (
    plugged.some(({ port }) => port === device.port) ||
    taken.has(socket) ||
    (hubs.has(socket) && !behindHub)
  )
    throw new Error(
      `socket ${socket} of ${device.backend} is taken (2-${socket} and 1-${socket} are one socket)`,
    )
  return { port: device.port, socket }
}

function modelOf({ kind }: DeviceDefinition): Model {
  const model = MODELS[kind]
  if (model) return model
  const known = Object.keys(MODELS).join(', ')
  throw new NotInThisEngine(`QEMU has no ${kind} (it has: ${known}): the process engine has`)
}

/** Plugs a device into a running guest; the guest sees it some tens of milliseconds later. Throws QmpError. */
export async function plugIntoQemu(
  { qmp }: Vm,
  definition: DeviceDefinition,
  place: { port: string; socket: number },
  supplies: DeviceSupplies,
  plugged: readonly QemuDevice[],
): Promise<QemuDevice> {
  const { driver } = modelOf(definition)
  const name = `usb-${place.port.replaceAll('.', '-')}`
  const path = place.port.split('-')[1] ?? ''
  if (
    isBehindHub(place.port) &&
    !plugged.some(({ port, socket }) => isBehindHub(port) && socket === place.socket)
  )
    await qmp.execute('device_add', {
      driver: 'usb-hub',
      id: `hub-${place.socket}`,
      bus: 'usb.0',
      port: `${place.socket}`,
    })
  const device = {
    ...place,
    kind: definition.kind,
    hidden: definition.hidden || definition.kind === 'tablet',
    device: name,
  }
  const common = {
    driver,
    id: name,
    bus: 'usb.0',
    port: path,
    ...(definition.serial ? { serial: definition.serial } : {}),
  }
  if (definition.kind === 'stick') {
    const block = `image-${name}`
    const file = { driver: 'file', filename: supplies.image }
    await qmp.execute('blockdev-add', { driver: 'raw', 'node-name': block, file })
    await qmp.execute('device_add', { ...common, drive: block })
    return { ...device, block, image: supplies.image }
  }
  if (definition.kind === 'serial') {
    const channel = `line-${name}`
    const addr = { type: 'inet', data: { host: '127.0.0.1', port: `${supplies.echoPort}` } }
    await qmp.execute('chardev-add', {
      id: channel,
      backend: { type: 'socket', data: { addr, server: false } },
    })
    await qmp.execute('device_add', { ...common, chardev: channel, 'always-plugged': true })
    return { ...device, channel }
  }
  await qmp.execute(
    'device_add',
    definition.kind === 'mtp' ? { ...common, rootdir: supplies.folder } : common,
  )
  return device
}

/** Pulls a device out, as a hand does. Resolves when QEMU has let go of it. Throws QmpError. */
export async function pullFromQemu({ qmp }: Vm, { device, block, channel }: QemuDevice): Promise<void> {
  const gone = qmp.waitFor(({ event, data }) => event === 'DEVICE_DELETED' && data.device === device, 10_000)
  await Promise.all([qmp.execute('device_del', { id: device }), gone])
  if (block) await qmp.execute('blockdev-del', { 'node-name': block })
  if (channel) await qmp.execute('chardev-remove', { id: channel })
}
