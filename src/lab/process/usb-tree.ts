import { mkdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { DeviceFacts, InterfaceFacts } from '../devices/facts.ts'
import { BlockNodes } from './block-nodes.ts'
import { InputNodes } from './input-nodes.ts'
import { link, remove, writeAttributes } from './tree.ts'

/** What shows below a device: nothing (unconfigured), interfaces, or interfaces with their drivers' nodes. */
export type Interfaces = 'none' | 'bare' | 'driven'

/** A device in a qube's sysfs. */
export interface UsbNode {
  readonly port: string
  readonly dir: string
  readonly busnum: number
  readonly devnum: number
  readonly facts: DeviceFacts
  readonly authorized: boolean
  /** Blocks of 512 bytes, when it is a stick that can be read. */
  readonly blocks: number | null
  readonly partitions: number
  driver: string | null
  interfaces: Interfaces
}

interface RootHub {
  readonly dir: string
  nextDevnum: number
}

/** The USB part of a qube's sysfs: root hubs, devices, interfaces, and what their drivers make. */
export class UsbTree {
  readonly #sys: string
  readonly #hubs = new Map<number, RootHub>()
  readonly nodes = new Map<string, UsbNode>()
  readonly blocks: BlockNodes
  readonly inputs: InputNodes

  constructor(root: string) {
    this.#sys = join(root, 'sys')
    this.blocks = new BlockNodes(this.#sys)
    this.inputs = new InputNodes(this.#sys)
    mkdirSync(join(this.#sys, 'bus/usb/devices'), { recursive: true })
    mkdirSync(join(this.#sys, 'bus/usb/drivers/usb'), { recursive: true })
    mkdirSync(join(this.#sys, 'class/block'), { recursive: true })
    mkdirSync(join(this.#sys, 'class/input'), { recursive: true })
  }

  get busCount(): number {
    return this.#hubs.size
  }

  /** Adds the root hub of a bus below its controller's directory (`devices/…` in sysfs). */
  addRootHub(controller: string, speed: 480 | 5000, ports: number): number {
    const busnum = this.#hubs.size + 1
    const dir = join(this.#sys, controller, `usb${busnum}`)
    this.#hubs.set(busnum, { dir, nextDevnum: 2 })
    writeHub(dir, {
      busnum,
      devnum: 1,
      devpath: '0',
      speed,
      ports,
      productId: speed === 480 ? '0002' : '0003',
    })
    this.#publish(`usb${busnum}`, dir, 'usb')
    return busnum
  }

  /** Adds a device on a port, and the hubs that its path passes through. */
  add(
    port: string,
    facts: DeviceFacts,
    options: { authorized?: boolean; blocks?: number | null; partitions?: number } = {},
  ): UsbNode {
    const parent = this.#openParent(port, facts.speed)
    const { busnum, devnum } = this.#number(port)
    const dir = join(parent, port)
    const authorized = options.authorized ?? true
    writeAttributes(dir, describeDevice(facts, { busnum, devnum, devpath: devpathOf(port), authorized }))
    const node: UsbNode = {
      port,
      dir,
      busnum,
      devnum,
      facts,
      authorized,
      blocks: options.blocks ?? null,
      partitions: options.partitions ?? 0,
      driver: null,
      interfaces: 'none',
    }
    this.nodes.set(port, node)
    this.#publish(port, dir, null)
    this.bind(node, 'usb')
    this.show(node, authorized ? 'driven' : 'none')
    return node
  }

  /** Sets the driver of the device itself. */
  bind(node: UsbNode, driver: string | null): void {
    const drivers = join(this.#sys, 'bus/usb/drivers')
    if (node.driver !== null) remove(join(drivers, node.driver, node.port), join(node.dir, 'driver'))
    node.driver = driver
    if (driver === null) return
    link(join(drivers, driver, node.port), node.dir)
    link(join(node.dir, 'driver'), join(drivers, driver))
  }

  /** Shows or takes away the interfaces, and with `driven` the nodes of their drivers. */
  show(node: UsbNode, interfaces: Interfaces): void {
    if (node.interfaces === interfaces) return
    if (node.interfaces !== 'none') this.#hideInterfaces(node)
    node.interfaces = interfaces
    writeAttributes(node.dir, {
      bNumInterfaces: interfaces === 'none' ? '' : ` ${node.facts.interfaces.length}`,
      bConfigurationValue: interfaces === 'none' ? '' : String(node.facts.configurationValue),
    })
    if (interfaces === 'none') return
    for (const each of node.facts.interfaces) this.#showInterface(node, each, interfaces === 'driven')
  }

  remove(node: UsbNode): void {
    this.#hideInterfaces(node)
    this.bind(node, null)
    remove(join(this.#sys, 'bus/usb/devices', node.port), node.dir)
    this.nodes.delete(node.port)
  }

  /** The names of an interface as `2-1:1.0`. */
  #interfaceNames(node: UsbNode): readonly string[] {
    return node.facts.interfaces.map((each) => `${node.port}:${node.facts.configurationValue}.${each.number}`)
  }

  #showInterface(node: UsbNode, facts: InterfaceFacts, driven: boolean): void {
    const name = `${node.port}:${node.facts.configurationValue}.${facts.number}`
    const dir = join(node.dir, name)
    writeAttributes(dir, {
      bInterfaceNumber: facts.number.toString(16).padStart(2, '0'),
      bAlternateSetting: String(facts.alternate).padStart(2),
      bNumEndpoints: facts.endpoints.toString(16).padStart(2, '0'),
      bInterfaceClass: facts.class,
      bInterfaceSubClass: facts.subclass,
      bInterfaceProtocol: facts.protocol,
      authorized: '1',
    })
    link(join(this.#sys, 'bus/usb/devices', name), dir)
    if (!driven || facts.driver === null) return
    link(join(dir, 'driver'), join(this.#sys, 'bus/usb/drivers', facts.driver))
    link(join(this.#sys, 'bus/usb/drivers', facts.driver, name), dir)
    if (facts.driver === 'usb-storage' && node.blocks !== null) {
      this.blocks.add(node.port, dir, node.blocks, node.partitions)
    }
    if (facts.driver === 'usbhid') this.inputs.add(node.port, dir, node.facts)
  }

  #hideInterfaces(node: UsbNode): void {
    this.blocks.remove(node.port)
    this.inputs.remove(node.port)
    for (const [index, name] of this.#interfaceNames(node).entries()) {
      const driver = node.facts.interfaces[index]?.driver
      if (driver) remove(join(this.#sys, 'bus/usb/drivers', driver, name))
      remove(join(this.#sys, 'bus/usb/devices', name), join(node.dir, name))
    }
  }

  /** The directory of what the port belongs to: the root hub, or a hub that is made when missing. */
  #openParent(port: string, speed: number): string {
    const dot = port.lastIndexOf('.')
    if (dot < 0) {
      const hub = this.#hubs.get(Number(port.split('-')[0]))
      if (hub === undefined) throw new Error(`no bus for port ${port}`)
      return hub.dir
    }
    const hubPort = port.slice(0, dot)
    const dir = join(this.#openParent(hubPort, speed), hubPort)
    if (!this.hubs.has(hubPort)) {
      const { busnum, devnum } = this.#number(hubPort)
      const hubSpeed = speed >= 5000 ? 5000 : 480
      writeHub(dir, {
        busnum,
        devnum,
        devpath: devpathOf(hubPort),
        speed: hubSpeed,
        ports: 8,
        productId: '0608',
      })
      this.#publish(hubPort, dir, 'usb')
      this.hubs.add(hubPort)
    }
    return dir
  }

  /** Hubs that are not root hubs. They stay once made. */
  readonly hubs = new Set<string>()

  #number(port: string): { busnum: number; devnum: number } {
    const busnum = Number(port.split('-')[0])
    const hub = this.#hubs.get(busnum)
    if (hub === undefined) throw new Error(`no bus for port ${port}`)
    const devnum = hub.nextDevnum
    hub.nextDevnum = devnum >= 127 ? 2 : devnum + 1
    return { busnum, devnum }
  }

  #publish(name: string, dir: string, driver: string | null): void {
    link(join(this.#sys, 'bus/usb/devices', name), dir)
    link(join(dir, 'subsystem'), join(this.#sys, 'bus/usb'))
    if (driver === null) return
    link(join(dir, 'driver'), join(this.#sys, 'bus/usb/drivers', driver))
    link(join(this.#sys, 'bus/usb/drivers', driver, basename(dir)), dir)
  }
}

const devpathOf = (port: string): string => port.slice(port.indexOf('-') + 1)

interface Place {
  readonly busnum: number
  readonly devnum: number
  readonly devpath: string
}

function describeDevice(facts: DeviceFacts, place: Place & { authorized: boolean }) {
  return {
    idVendor: facts.vendorId,
    idProduct: facts.productId,
    bcdDevice: facts.bcdDevice,
    version: facts.version,
    busnum: String(place.busnum),
    devnum: String(place.devnum),
    devpath: place.devpath,
    speed: String(facts.speed),
    bDeviceClass: facts.deviceClass,
    bDeviceSubClass: facts.deviceSubclass,
    bDeviceProtocol: facts.deviceProtocol,
    bMaxPacketSize0: String(facts.maxPacketSize0),
    bNumConfigurations: String(facts.configurations),
    bmAttributes: facts.attributes,
    bMaxPower: facts.maxPower,
    bNumInterfaces: '',
    bConfigurationValue: '',
    manufacturer: facts.manufacturer,
    product: facts.product,
    serial: facts.serial,
    authorized: place.authorized ? '1' : '0',
    removable: 'removable',
    descriptors: facts.descriptors,
    uevent: `DEVTYPE=usb_device\nPRODUCT=${Number.parseInt(facts.vendorId, 16).toString(16)}/${Number.parseInt(facts.productId, 16).toString(16)}/${Number.parseInt(facts.bcdDevice, 16).toString(16)}`,
  }
}

function writeHub(dir: string, hub: Place & { speed: number; ports: number; productId: string }): void {
  writeAttributes(dir, {
    idVendor: hub.productId === '0608' ? '05e3' : '1d6b',
    idProduct: hub.productId,
    bcdDevice: '0601',
    version: hub.speed >= 5000 ? ' 3.00' : ' 2.00',
    busnum: String(hub.busnum),
    devnum: String(hub.devnum),
    devpath: hub.devpath,
    speed: String(hub.speed),
    maxchild: String(hub.ports),
    bDeviceClass: '09',
    bDeviceSubClass: '00',
    bDeviceProtocol: hub.speed >= 5000 ? '03' : '01',
    bNumConfigurations: '1',
    bNumInterfaces: ' 1',
    bConfigurationValue: '1',
    product: hub.productId === '0608' ? 'USB2.0 Hub' : 'xHCI Host Controller',
    authorized: '1',
  })
}
