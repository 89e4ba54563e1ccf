import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { UsbSpeed } from '../devices/emulated.ts'
import type { ImportedDevice } from '../usbip/interface.ts'
import { type MassStorage, openMassStorage } from '../usbip/mass-storage.ts'
import { importDevice } from '../usbip/virtual-host.ts'
import { KernelError } from './kernel-error.ts'
import type { Link, Links } from './links.ts'
import type { UsbNode, UsbTree } from './usb-tree.ts'

/** States of a port as the kernel numbers them. */
const FREE = 4
const NOT_ASSIGNED = 5
const USED = 6

const SPEEDS: Readonly<Record<number, UsbSpeed>> = { 1: 1.5, 2: 12, 3: 480, 5: 5000 }

interface Port {
  readonly number: number
  readonly hub: 'hs' | 'ss'
  state: number
  speed: number
  devid: number
  device: ImportedDevice | null
  storage: MassStorage | null
  node: UsbNode | null
  link: Link | null
  /** Ends an enumeration that is under way. */
  abort: AbortController | null
}

/** The virtual host controller of a frontend: vhci_hcd.0 of sysfs over devices enumerated through USB/IP. */
export class Vhci {
  readonly #dir: string
  readonly #ports: readonly Port[]
  readonly #tree: UsbTree
  readonly #links: Links
  readonly #buses: Readonly<Record<'hs' | 'ss', number>>
  readonly #log: (line: string) => void
  #full = false

  constructor(root: string, tree: UsbTree, links: Links, portsPerHub: number, log: (line: string) => void) {
    const controller = 'devices/platform/vhci_hcd.0'
    this.#dir = join(root, 'sys', controller)
    mkdirSync(this.#dir, { recursive: true })
    this.#tree = tree
    this.#links = links
    this.#log = log
    this.#buses = {
      hs: tree.addRootHub(controller, 480, portsPerHub),
      ss: tree.addRootHub(controller, 5000, portsPerHub),
    }
    this.#ports = (['hs', 'ss'] as const).flatMap((hub, index) =>
      Array.from({ length: portsPerHub }, (_, number) => ({
        number: index * portsPerHub + number,
        hub,
        state: FREE,
        speed: 0,
        devid: 0,
        device: null,
        storage: null,
        node: null,
        link: null,
        abort: null,
      })),
    )
    writeFileSync(join(this.#dir, 'nports'), `${this.#ports.length}\n`)
    this.#show()
  }

  /** `attach`: `PORT SOCKFD DEVID SPEED`; the socket is the link's. */
  async attach(value: string, link: Link | null): Promise<void> {
    const [number, , devid, speedNumber] = value.split(' ').map(Number)
    const port = this.#ports.find((each) => each.number === number)
    const speed = SPEEDS[speedNumber ?? 0]
    if (port === undefined || devid === undefined || speed === undefined || link === null || link.imported) {
      throw new KernelError('EINVAL', value)
    }
    if (port.state !== FREE) throw new KernelError('EBUSY', value)
    if ((port.hub === 'ss') !== speed >= 5000) throw new KernelError('EINVAL', value)
    port.state = NOT_ASSIGNED
    port.speed = speedNumber ?? 0
    port.devid = devid
    port.link = link
    link.imported = true
    const abort = new AbortController()
    port.abort = abort
    this.#show()
    const [, socket] = await this.#links.connect(link)
    // The write returns at once; the hub enumerates on its own.
    const start = async () => {
      if (socket.destroyed) throw new Error('the link is closed')
      return importDevice(socket, { devid, speed, signal: abort.signal })
    }
    void this.#enumerate(port, start, abort)
  }

  /** `detach`: a port in use becomes free; EINVAL when it is not. */
  detach(value: string): void {
    const port = this.#ports.find((each) => each.number === Number(value))
    if (port === undefined || port.state === FREE) throw new KernelError('EINVAL', value)
    this.#free(port)
  }

  /** The fault of no free port: all free rows show as used by something. */
  fill(on: boolean): void {
    this.#full = on
    this.#show()
  }

  /** An imported stick by the name of its disk. */
  storage(disk: string): MassStorage | null {
    const block = this.#tree.blocks.byName(disk)
    return this.#ports.find((port) => port.node !== null && port.node.port === block?.port)?.storage ?? null
  }

  /** All imported devices with the ports of this qube they are on. */
  imported(): readonly { readonly busid: string; readonly device: ImportedDevice }[] {
    return this.#ports.flatMap(({ device, node }) =>
      device === null || node === null ? [] : [{ busid: node.port, device }],
    )
  }

  close(): void {
    for (const port of this.#ports) {
      if (port.state !== FREE) this.#free(port)
    }
  }

  async #enumerate(port: Port, start: () => Promise<ImportedDevice>, abort: AbortController): Promise<void> {
    try {
      const device = await start()
      let storage: MassStorage | null = null
      if (device.facts.interfaces.some((each) => each.driver === 'usb-storage')) {
        storage = await openMassStorage(device, { signal: abort.signal }).catch((error: Error) => {
          this.#log(`the stick on port ${port.number} says nothing: ${error.message}`)
          return null
        })
      }
      if (port.abort !== abort || abort.signal.aborted || device.isGone) {
        device.close()
        if (port.abort === abort) this.#free(port)
        return
      }
      port.device = device
      port.storage = storage
      port.state = USED
      port.node = this.#tree.add(this.#busid(port), device.facts, { blocks: storage?.blocks ?? null })
      this.#show()
      void device.gone.then(() => {
        if (port.device === device) this.#free(port)
      })
    } catch (error) {
      this.#log(`port ${port.number} cannot enumerate: ${(error as Error).message}`)
      if (port.abort === abort) this.#free(port)
    }
  }

  #free(port: Port): void {
    const { device, node, link, abort } = port
    Object.assign(port, {
      state: FREE,
      speed: 0,
      devid: 0,
      device: null,
      storage: null,
      node: null,
      link: null,
      abort: null,
    })
    abort?.abort()
    device?.close()
    if (node !== null) this.#tree.remove(node)
    if (link !== null) this.#links.close(link)
    this.#show()
  }

  #busid(port: Port): string {
    const first = this.#ports.find((each) => each.hub === port.hub)?.number ?? 0
    return `${this.#buses[port.hub]}-${port.number - first + 1}`
  }

  /** The file `status`, in the columns of drivers/usb/usbip/vhci_sysfs.c. */
  #show(): void {
    const rows = this.#ports.map((port) => {
      const isTaken = this.#full && port.state === FREE
      const state = isTaken ? USED : port.state
      const used = state !== FREE
      return [
        port.hub.padEnd(3),
        String(port.number).padStart(4, '0'),
        String(state).padStart(3, '0'),
        String(port.speed).padStart(3, '0'),
        port.devid.toString(16).padStart(8, '0'),
        used ? '000003' : '000000',
        port.node === null ? '0-0' : port.node.port,
      ].join(' ')
    })
    const file = join(this.#dir, 'status')
    writeFileSync(`${file}.new`, `hub port sta spd dev      sockfd local_busid\n${rows.join('\n')}\n`)
    renameSync(`${file}.new`, file)
  }
}
