import { closeSync, openSync, readSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe } from '../devices/describe.ts'
import { BLOCK_BYTES } from '../devices/disk-image.ts'
import type { EmulatedDevice } from '../devices/emulated.ts'
import type { Closable, FifoPool } from '../fifo.ts'
import type { DeviceDefinition } from '../file/schema.ts'
import { serveDevice } from '../usbip/exporter.ts'
import type { Export } from '../usbip/interface.ts'
import { hideUse, showUses } from './in-use.ts'
import { KernelError } from './kernel-error.ts'
import type { Link, Links } from './links.ts'
import type { QubesDb } from './qubesdb.ts'
import { remove, writeAttributes } from './tree.ts'
import type { UsbNode, UsbTree } from './usb-tree.ts'

/** The slots of usbip-host's table of ports; `del` does not free one (docs/facts.md#slots-of-usbip-host). */
const MATCH_SLOTS = 16
const BLOCKS_A_MIB = 2048

/** A device that is plugged into a backend. */
export interface Plugged {
  readonly definition: DeviceDefinition
  readonly device: EmulatedDevice
  readonly image: string | null
  readonly node: UsbNode
  /** As `usbip_status`: 1 available, 2 used. */
  status: 1 | 2
  export: Export | null
  link: Link | null
  sockfd: Closable | null
}

export interface BackendParts {
  readonly root: string
  readonly tree: UsbTree
  readonly db: QubesDb
  readonly fifos: FifoPool
  readonly links: Links
  readonly publishes: 'full' | 'two-words'
  /** For the cgroup of an input sender. */
  readonly senderPid: () => number
  readonly domidOf: (qube: string) => number | null
  /** What the kernel tells udev of a device. */
  readonly onUevent: (action: 'add' | 'remove', devpath: string) => void
  /** A line that was written into a device's usbip_sockfd by a plain `echo`. */
  readonly onSockfd: (port: string, line: string) => void
  readonly log: (line: string) => void
}

/** The USB side of a qube that has controllers: what is plugged, and the kernel's usbip-host. */
export class Backend {
  readonly plugged = new Map<string, Plugged>()
  readonly #parts: BackendParts
  readonly #matched = new Set<string>()
  #stalled = false
  /** The next device that is exported is pulled out at once. */
  yankNext = false

  constructor(parts: BackendParts) {
    this.#parts = parts
  }

  /** A free port on the bus of a speed, root ports only. */
  freePort(speed: number): string {
    const bus = speed >= 5000 ? 2 : 1
    for (let number = 1; number <= 15; number++) {
      const port = `${bus}-${number}`
      if (!this.plugged.has(port) && !this.#parts.tree.hubs.has(port)) return port
    }
    throw new Error('every port is taken')
  }

  /** @param image the file behind a stick, null for everything else */
  plug(definition: DeviceDefinition, device: EmulatedDevice, port: string, image: string | null): Plugged {
    const blocks = image === null ? null : definition.sizeMiB * BLOCKS_A_MIB
    const { tree, db } = this.#parts
    const facts = describe(device)
    const node = tree.add(port, facts, {
      authorized: definition.authorized,
      blocks,
      partitions: definition.partitions,
    })
    const plugged: Plugged = {
      definition,
      device,
      image,
      node,
      status: 1,
      export: null,
      link: null,
      sockfd: null,
    }
    this.plugged.set(port, plugged)
    if (definition.use.typesInDom0) tree.inputs.startSenders(port, this.#parts.senderPid())
    this.showUses()
    if (!definition.hidden) db.publish(port, facts, this.#parts.publishes)
    // Qubes' own rules, which publish it, come before those that are installed.
    this.#parts.onUevent('add', this.#devpathOf(plugged))
    return plugged
  }

  /** Pulls a device out, whatever it does. */
  async unplug(port: string): Promise<void> {
    const plugged = this.#find(port)
    this.plugged.delete(port)
    plugged.sockfd?.close()
    this.#parts.tree.remove(plugged.node)
    this.#parts.db.unpublish(port)
    hideUse(this.#parts.root, plugged.definition.use, this.#domidOfUser(plugged))
    this.showUses()
    this.#closeExport(plugged)
    this.#release(plugged)
    this.#parts.onUevent('remove', this.#devpathOf(plugged))
    await plugged.device.close()
  }

  showUses(): void {
    const disks = [...this.plugged.values()].flatMap(({ definition, node }) => {
      const disk = this.#parts.tree.blocks.of(node.port)
      return disk === null ? [] : [{ use: definition.use, disk }]
    })
    showUses(this.#parts.root, disks, this.#parts.domidOf)
  }

  /** `usb/unbind` and `usbip-host/unbind`. */
  unbind(driver: 'usb' | 'usbip-host', port: string): void {
    const plugged = this.#find(port)
    const { tree } = this.#parts
    if (plugged.node.driver !== driver) throw new KernelError('ENODEV', `${port} is not on ${driver}`)
    if (driver === 'usbip-host') {
      this.#closeExport(plugged)
      plugged.sockfd?.close()
      plugged.sockfd = null
      remove(join(plugged.node.dir, 'usbip_status'), join(plugged.node.dir, 'usbip_sockfd'))
    }
    tree.show(plugged.node, 'none')
    tree.bind(plugged.node, null)
    this.showUses()
  }

  /** `usb/bind`: the generic driver, which configures the device again. */
  bindNormal(port: string): void {
    const plugged = this.#find(port)
    const { tree } = this.#parts
    if (plugged.node.driver !== null) throw new KernelError('EBUSY', `${port} has a driver`)
    tree.bind(plugged.node, 'usb')
    tree.show(plugged.node, plugged.node.authorized ? 'driven' : 'none')
    this.showUses()
  }

  matchBusid(text: string): void {
    const [word, port = ''] = text.split(' ')
    if (word !== 'add' && word !== 'del') throw new KernelError('EINVAL', text)
    if (word === 'del') return
    if (!this.#matched.has(port) && this.#matched.size >= MATCH_SLOTS) throw new KernelError('ENOMEM', text)
    this.#matched.add(port)
    this.#showMatched()
  }

  /** As the real file reads: every name ever added, each followed by a space. */
  #showMatched(): void {
    const text = [...this.#matched].map((port) => `${port} `).join('')
    writeAttributes(join(this.#parts.root, 'sys/bus/usb/drivers/usbip-host'), { match_busid: text })
  }

  async bindHost(port: string): Promise<void> {
    const plugged = this.#find(port)
    if (plugged.node.driver !== null) throw new KernelError('EBUSY', `${port} has a driver`)
    if (!this.#matched.has(port)) throw new KernelError('ENODEV', `${port} is not matched`)
    this.#parts.tree.bind(plugged.node, 'usbip-host')
    plugged.status = 1
    this.#showStatus(plugged)
    const path = join(plugged.node.dir, 'usbip_sockfd')
    rmSync(path, { force: true })
    plugged.sockfd = await this.#parts.fifos.listen(path, (line) => this.#parts.onSockfd(port, line))
  }

  /** `usbip_sockfd`: a link takes the device out, null with -1 brings it back. */
  async setSockfd(port: string, value: string, link: Link | null): Promise<void> {
    const plugged = this.#find(port)
    if (plugged.node.driver !== 'usbip-host') throw new KernelError('ENODEV', `${port} is not on usbip-host`)
    if (value === '-1') {
      if (plugged.status !== 2) throw new KernelError('EINVAL', `${port} is not exported`)
      this.#closeExport(plugged)
      return
    }
    if (link === null || plugged.status !== 1) throw new KernelError('EINVAL', `${port} cannot be exported`)
    plugged.status = 2
    plugged.link = link
    link.exported = true
    this.#showStatus(plugged)
    const [socket] = await this.#parts.links.connect(link)
    const { busnum, devnum } = plugged.node
    const running = serveDevice(plugged.device, socket, { devid: (busnum << 16) | devnum })
    plugged.export = running
    if (this.#stalled) running.stall()
    this.#parts.tree.show(plugged.node, 'bare')
    void running.done.then((end) => {
      this.#parts.log(`export of ${port} ended: ${end.reason}${end.error ? ` (${end.error.message})` : ''}`)
      if (plugged.export !== running) return
      plugged.export = null
      this.#release(plugged)
    })
    if (this.yankNext) {
      this.yankNext = false
      await this.unplug(port)
    }
  }

  /** The fault of a stalled link, for exports of now and later. */
  stall(on: boolean): void {
    this.#stalled = on
    for (const { export: running } of this.plugged.values()) {
      if (on) running?.stall()
      else running?.resume()
    }
  }

  closeLinks(): void {
    for (const plugged of this.plugged.values()) {
      if (plugged.link !== null) this.#parts.links.close(plugged.link)
    }
  }

  /** Blocks of a disk that is on its normal driver here, from its image; null when there is no such disk. */
  readLocal(disk: string, skip: number, count: number): Buffer | null {
    const port = this.#parts.tree.blocks.byName(disk)?.port
    const image = port === undefined ? null : this.plugged.get(port)?.image
    return image ? readImage(image, skip, count) : null
  }

  async close(): Promise<void> {
    for (const plugged of this.plugged.values()) {
      plugged.sockfd?.close()
      this.#closeExport(plugged)
      this.#release(plugged)
      await plugged.device.close()
    }
    this.plugged.clear()
  }

  /** As sysfs names it, `/devices/pci…`. */
  #devpathOf({ node }: Plugged): string {
    return `/${relative(join(this.#parts.root, 'sys'), node.dir)}`
  }

  #closeExport(plugged: Plugged): void {
    plugged.export?.close()
    if (plugged.link !== null) this.#parts.links.close(plugged.link)
  }

  #release(plugged: Plugged): void {
    plugged.status = 1
    plugged.link = null
    if (plugged.node.driver === 'usbip-host' && this.plugged.get(plugged.node.port) === plugged) {
      this.#showStatus(plugged)
    }
  }

  #showStatus(plugged: Plugged): void {
    writeAttributes(plugged.node.dir, { usbip_status: String(plugged.status) })
  }

  #domidOfUser({ definition }: Plugged): number | null {
    return definition.use.givenTo === undefined ? null : this.#parts.domidOf(definition.use.givenTo)
  }

  #find(port: string): Plugged {
    const plugged = this.plugged.get(port)
    if (plugged === undefined) throw new KernelError('ENODEV', `nothing at ${port}`)
    return plugged
  }
}

function readImage(image: string, skip: number, count: number): Buffer {
  const data = Buffer.alloc(count * BLOCK_BYTES)
  const fd = openSync(image, 'r')
  try {
    return data.subarray(0, readSync(fd, data, 0, data.length, skip * BLOCK_BYTES))
  } finally {
    closeSync(fd)
  }
}
