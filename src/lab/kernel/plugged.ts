import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { createDevice } from '../devices/create.ts'
import { DEVICE_KINDS, type DeviceKind, type DeviceOptions } from '../devices/kinds.ts'
import { ensureImage } from '../devices/stick-image.ts'
import type { EngineHost, PluggedDevice } from '../engine.ts'
import type { DeviceDefinition } from '../file/schema.ts'
import { type Guest, runScript } from './guest.ts'
import { portOf } from './hub.ts'
import { type Redirected, redirectDevice } from './redirect.ts'
import { choosePlace, isBehindHub } from './sockets.ts'
import { listDevices, putToUse, waitForDevice } from './survey.ts'
import { findModel, type Player, plugIntoQemu, pullFromQemu, type QemuDevice } from './usb.ts'

const LIMIT = 30_000
/** USB redirection and QEMU's own models have their image in the same place as the process engine. */
const IMAGES = 'images'

/** A device in a guest, and what to let go of when it is out. */
interface Held extends QemuDevice {
  readonly kind: string
  readonly hidden: boolean
  readonly image: string | null
  close(): Promise<void>
}

/** What is plugged into one guest. */
export interface GuestDevices {
  plug(definition: DeviceDefinition): Promise<PluggedDevice>
  /** Rejects when nothing is there. */
  unplug(port: string): Promise<void>
  list(): Promise<PluggedDevice[]>
  /** The port of the device with this bus and device number. */
  portOf(bus: number, number: number): Promise<string | null>
  /** When the guest has ended: lets go of what its devices were made of. */
  release(): Promise<void>
}

const isEmulated = (kind: string): kind is DeviceKind => kind in DEVICE_KINDS

export function createGuestDevices(
  host: EngineHost,
  backend: string,
  guest: Guest,
  echo: Server,
): GuestDevices {
  const held = new Map<string, Held>()

  const play = async (definition: DeviceDefinition, image: string | null): Promise<Played> => {
    if (isEmulated(definition.kind)) return await emulate(definition, definition.kind, image, host.log)
    const { driver, speed } = findModel(definition)
    const serial = definition.serial ?? null
    const close = async () => {}
    if (definition.kind === 'qemu-serial')
      return { speed, player: { driver, serial, channel: portOf(echo) }, close }
    if (definition.kind !== 'mtp')
      return { speed, player: { driver, serial, ...(image ? { image } : {}) }, close }
    const folder = join(host.qubeDir(backend), 'media')
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'track.txt'), 'a track\n')
    return { speed, player: { driver, serial, folder }, close }
  }

  const plug = async (definition: DeviceDefinition): Promise<PluggedDevice> => {
    const image = definition.kind.endsWith('stick') ? await imageOf(host.dir, definition) : null
    const { player, speed, close } = await play(definition, image)
    const { kind } = definition
    const hidden = definition.hidden || kind === 'tablet'
    let port: string
    try {
      const places = [...held.values()]
      const place = choosePlace(speed, definition.port, places)
      port = place.port
      if (hidden) await runScript(guest, `mkdir -p /run/hidden && touch '/run/hidden/${port}'`, LIMIT)
      held.set(port, { ...(await plugIntoQemu(guest.vm, place, player, places)), kind, hidden, image, close })
    } catch (error) {
      await close()
      throw error
    }
    await waitForDevice(guest, port, LIMIT)
    await putToUse(guest, port, definition)
    const found = (await list()).find((device) => device.port === port)
    if (!found) throw new Error(`${backend} does not show ${port}`)
    return found
  }

  const unplug = async (port: string): Promise<void> => {
    const device = held.get(port)
    if (!device) throw new Error(`nothing is plugged at ${port} of ${backend}`)
    held.delete(port)
    await pullFromQemu(guest.vm, device)
    await device.close()
    await runScript(
      guest,
      `rm -f '/run/hidden/${port}'; i=0
       while [ -e '/sys/bus/usb/devices/${port}' ] && [ $i -lt 100 ]; do i=$((i + 1)); sleep 0.05; done`,
      LIMIT,
    ).catch(() => host.log(`${backend} does not say that ${port} is gone`))
  }

  const list = async (): Promise<PluggedDevice[]> => {
    if (held.size === 0) return []
    const seen = new Map((await listDevices(guest)).map((device) => [device.port, device]))
    return [...held.values()].flatMap(({ port, kind, hidden, image }) => {
      const device = seen.get(port)
      if (!device) return []
      const { vendorId, productId, serial, driver, attachedTo } = device
      return [{ backend, port, kind, vendorId, productId, serial, hidden, driver, attachedTo, image }]
    })
  }

  return {
    plug,
    unplug,
    list,
    async portOf(bus, number) {
      const device = (await listDevices(guest)).find((each) => each.bus === bus && each.number === number)
      return device?.port ?? null
    },
    async release() {
      const devices = [...held.values()]
      held.clear()
      await Promise.all(devices.map((device) => device.close()))
    },
  }
}

interface Played {
  readonly player: Player
  readonly speed: number
  close(): Promise<void>
}

/** A device of the process engine, which the guest's controller reaches by USB redirection. */
async function emulate(
  definition: DeviceDefinition,
  kind: DeviceKind,
  image: string | null,
  log: (line: string) => void,
): Promise<Played> {
  const { serial, speed, vendorId, productId, manufacturer, product, temperature, port } = definition
  const given = { serial, speed, vendorId, productId, manufacturer, product, temperature }
  const options: DeviceOptions = {
    kind,
    ...(image === null ? {} : { image }),
    // QEMU's hub is a slow one, and a device of USB 2 sits on bus 1.
    ...(port !== undefined && isBehindHub(port) ? { speed: 12 as const } : {}),
    ...(kind === 'stick' && port?.startsWith('1-') && !isBehindHub(port) ? { speed: 480 as const } : {}),
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  }
  const device = await createDevice(options)
  let redirected: Redirected
  try {
    redirected = await redirectDevice(device, log)
  } catch (error) {
    await device.close()
    throw error
  }
  const player = { driver: 'usb-redir', serial: null, channel: redirected.port }
  return { player, speed: device.speed, close: () => redirected.close() }
}

/** A stick that is plugged again has the same content: its image is named by what it is. */
async function imageOf(
  dir: string,
  { backend, serial, port, speed, sizeMiB }: DeviceDefinition,
): Promise<string> {
  const name = `${backend}-${serial ?? port ?? speed ?? 'stick'}`
    .replace(/[^A-Za-z0-9._-]/g, '_')
    .slice(0, 100)
  const image = join(dir, IMAGES, `${name}.img`)
  await mkdir(join(dir, IMAGES), { recursive: true })
  await ensureImage(image, sizeMiB)
  return image
}

/** The far end of every serial adapter of QEMU's: what is written to it comes back. */
export async function openEcho(): Promise<Server> {
  const echo = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  })
  await new Promise<void>((resolve, reject) => {
    echo.once('error', reject)
    echo.listen(0, '127.0.0.1', resolve)
  })
  return echo
}
