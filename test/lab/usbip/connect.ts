import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDevice } from '../../../src/lab/devices/create.ts'
import type { EmulatedDevice } from '../../../src/lab/devices/emulated.ts'
import type { DeviceOptions } from '../../../src/lab/devices/kinds.ts'
import { serveDevice } from '../../../src/lab/usbip/exporter.ts'
import type { Export, ImportedDevice, ServeOptions } from '../../../src/lab/usbip/interface.ts'
import { importDevice } from '../../../src/lab/usbip/virtual-host.ts'

export const DEVID = (2 << 16) | 5

/** Undoes in reverse order what a test has made. */
export class Cleanup {
  readonly #steps: (() => unknown)[] = []

  add(step: () => unknown): void {
    this.#steps.push(step)
  }

  async run(): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) await step()
  }
}

async function makeDirectory(cleanup: Cleanup): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'qusb-usbip-'))
  cleanup.add(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** An image whose every byte tells where it is. */
export async function makeImage(cleanup: Cleanup, blocks: number): Promise<{ path: string; bytes: Buffer }> {
  const path = join(await makeDirectory(cleanup), 'stick.img')
  const bytes = Buffer.alloc(blocks * 512)
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 7 + (i >> 9) * 13) & 0xff
  await writeFile(path, bytes)
  return { path, bytes }
}

/** Two ends of a real Unix stream socket. */
export async function socketPair(cleanup: Cleanup): Promise<[Socket, Socket]> {
  const path = join(await makeDirectory(cleanup), 's')
  const server = createServer()
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const client = connect(path)
  const served = await accepted
  server.close()
  cleanup.add(() => {
    client.destroy()
    served.destroy()
  })
  return [client, served]
}

export interface Connected {
  readonly device: EmulatedDevice
  readonly imported: ImportedDevice
  readonly exported: Export
  /** The frontend's end of the link, to break it. */
  readonly client: Socket
}

/** Makes a device, exports it and imports it over a real socket. */
export async function plug(
  cleanup: Cleanup,
  options: DeviceOptions,
  serve: ServeOptions = { devid: DEVID },
): Promise<Connected> {
  const device = await createDevice(options)
  cleanup.add(() => device.close())
  return { device, ...(await attach(cleanup, device, serve)) }
}

export async function attach(
  cleanup: Cleanup,
  device: EmulatedDevice,
  serve: ServeOptions = { devid: DEVID },
): Promise<Omit<Connected, 'device'>> {
  const [client, served] = await socketPair(cleanup)
  const exported = serveDevice(device, served, serve)
  cleanup.add(async () => {
    exported.close()
    await exported.done
  })
  const imported = await importDevice(client, {
    devid: DEVID,
    speed: device.speed,
    signal: AbortSignal.timeout(10_000),
  })
  return { imported, exported, client }
}
