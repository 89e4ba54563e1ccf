import { NotInThisEngine } from '../engine.ts'
import type { DeviceDefinition } from '../file/schema.ts'
import { isBehindHub, type Place } from './sockets.ts'
import { SOCKETS, type Vm } from './vm.ts'

/** A device that QEMU has plugged into a guest, with its names for what makes it up. */
export interface QemuDevice extends Place {
  readonly device: string
  readonly block?: string
  readonly channel?: string
}

/** What plays the device. */
export type Player =
  /** One of QEMU's own, on an image, or on a folder that a media player shows. */
  | {
      readonly driver: string
      readonly serial: string | null
      readonly image?: string
      readonly folder?: string
    }
  /** Something at a port on 127.0.0.1: a serial adapter's far end, or a device over USB redirection. */
  | { readonly driver: string; readonly serial: string | null; readonly channel: number }

interface Model {
  readonly driver: string
  /** The ids that QEMU gives it. */
  readonly vendorId: string
  readonly productId: string
  /** The fastest that it can, Mb/s. */
  readonly speed: number
}

const MODELS: Readonly<Record<string, Model>> = {
  'qemu-stick': { driver: 'usb-storage', vendorId: '46f4', productId: '0001', speed: 5000 },
  'qemu-keyboard': { driver: 'usb-kbd', vendorId: '0627', productId: '0001', speed: 480 },
  'qemu-serial': { driver: 'usb-serial', vendorId: '0403', productId: '6001', speed: 12 },
  tablet: { driver: 'usb-tablet', vendorId: '0627', productId: '0001', speed: 480 },
  mtp: { driver: 'usb-mtp', vendorId: '46f4', productId: '0004', speed: 480 },
}

/**
 * QEMU's driver for a kind and the speed it will have where the lab file wants it. Throws NotInThisEngine for
 * what QEMU does not have.
 */
export function findModel(definition: DeviceDefinition): { driver: string; speed: number } {
  const { kind, port, vendorId, productId, manufacturer, product, serial } = definition
  const model = MODELS[kind]
  if (!model) throw new NotInThisEngine(`there is no ${kind} in the kernel engine`)
  const differs =
    (vendorId ?? model.vendorId) !== model.vendorId || (productId ?? model.productId) !== model.productId
  if (differs || manufacturer !== undefined || product !== undefined || serial === null)
    throw new NotInThisEngine(
      `QEMU's ${kind} is ${model.vendorId}:${model.productId}, keeps its names and has a serial: other kinds can differ`,
    )
  if (!port?.startsWith('1-')) return { driver: model.driver, speed: definition.speed ?? model.speed }
  if (isBehindHub(port)) return { driver: model.driver, speed: 12 }
  // A socket with SuperSpeed makes a device that can do it do it.
  if (model.speed > 480 && Number(port.slice(2)) <= SOCKETS.superSpeed)
    throw new NotInThisEngine(
      `a ${kind} runs at 480 Mb/s at 1-${SOCKETS.superSpeed + 1} to 1-${SOCKETS.all} only`,
    )
  return { driver: model.driver, speed: Math.min(model.speed, 480) }
}

/** Plugs a device into a running guest; the guest sees it some tens of milliseconds later. Throws QmpError. */
export async function plugIntoQemu(
  { qmp }: Vm,
  place: Place,
  player: Player,
  plugged: readonly Place[],
): Promise<QemuDevice> {
  const name = `usb-${place.port.replaceAll('.', '-')}`
  const path = place.port.split('-')[1] ?? ''
  if (
    isBehindHub(place.port) &&
    !plugged.some(({ port, socket }) => isBehindHub(port) && socket === place.socket)
  ) {
    const hub = { driver: 'usb-hub', id: `hub-${place.socket}`, bus: 'usb.0', port: `${place.socket}` }
    await qmp.execute('device_add', hub).catch((error: Error) => {
      // The hub stays when what was behind it goes.
      if (!/[Dd]uplicate/.test(error.message)) throw error
    })
  }
  const common = {
    driver: player.driver,
    id: name,
    bus: 'usb.0',
    port: path,
    ...(player.serial === null ? {} : { serial: player.serial }),
  }
  if ('channel' in player) {
    const channel = `line-${name}`
    const addr = { type: 'inet', data: { host: '127.0.0.1', port: `${player.channel}` } }
    await qmp.execute('chardev-add', {
      id: channel,
      backend: { type: 'socket', data: { addr, server: false } },
    })
    const always = player.driver === 'usb-serial' ? { 'always-plugged': true } : {}
    await qmp.execute('device_add', { ...common, chardev: channel, ...always })
    return { ...place, device: name, channel }
  }
  if (player.image !== undefined) {
    const block = `image-${name}`
    const file = { driver: 'file', filename: player.image }
    await qmp.execute('blockdev-add', { driver: 'raw', 'node-name': block, file })
    await qmp.execute('device_add', { ...common, drive: block })
    return { ...place, device: name, block }
  }
  await qmp.execute(
    'device_add',
    player.folder === undefined ? common : { ...common, rootdir: player.folder },
  )
  return { ...place, device: name }
}

/** Pulls a device out, as a hand does. Resolves when QEMU has let go of it. Throws QmpError. */
export async function pullFromQemu({ qmp }: Vm, { device, block, channel }: QemuDevice): Promise<void> {
  const gone = qmp.waitFor(({ event, data }) => event === 'DEVICE_DELETED' && data.device === device, 10_000)
  await Promise.all([qmp.execute('device_del', { id: device }), gone])
  if (block) await qmp.execute('blockdev-del', { 'node-name': block })
  if (channel)
    await qmp.execute('chardev-remove', { id: channel }).catch((error: Error) => {
      // usb-redir takes its channel along, usb-serial leaves it.
      if (!/not found/.test(error.message)) throw error
    })
}
