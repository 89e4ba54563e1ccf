import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** A USB device as sysfs shows it. */
export interface TreeDevice {
  port: string
  /** The directory above the bus: the controller. */
  controller?: string
  /** Files of the device by name; the usual ones have defaults. */
  files?: Record<string, string | Buffer>
  driver?: string | null
  interfaces?: { number: number; code: string; driver?: string | null }[]
}

const CONTROLLER = 'pci0000:00/0000:00:14.0'

/** A directory that looks like the root of a qube, for the probe's QUSB_ROOT; `remove` it in the end. */
export class QubeTree {
  readonly root = mkdtempSync(join(tmpdir(), 'qusb-tree-'))
  readonly #qubesDb: string[] = []

  remove(): void {
    rmSync(this.root, { recursive: true, force: true })
  }

  write(path: string, content: string | Buffer): void {
    const file = join(this.root, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
  }

  link(path: string, target: string): void {
    const file = join(this.root, path)
    mkdirSync(dirname(file), { recursive: true })
    symlinkSync(join(this.root, target), file)
  }

  directory(path: string): void {
    mkdirSync(join(this.root, path), { recursive: true })
  }

  /** @returns the sysfs path of the device */
  plug(device: TreeDevice): string {
    const [bus = '', chain = ''] = device.port.split('-')
    const parts = chain.split('.')
    const hubs = parts.map((_, depth) => `${bus}-${parts.slice(0, depth + 1).join('.')}`)
    const path = `/sys/devices/${device.controller ?? CONTROLLER}/usb${bus}/${hubs.join('/')}`
    const files = {
      busnum: `${bus}\n`,
      devnum: '7\n',
      idVendor: '1050\n',
      idProduct: '0407\n',
      bDeviceClass: '00\n',
      speed: '480\n',
      bConfigurationValue: '1\n',
      ...device.files,
    }
    for (const [name, content] of Object.entries(files)) this.write(`${path}/${name}`, content)
    this.#driver(path, device.driver === undefined ? 'usb' : device.driver)
    for (const { number, code, driver } of device.interfaces ?? []) {
      const at = `${path}/${device.port}:1.${number}`
      this.write(`${at}/bInterfaceClass`, `${code.slice(0, 2)}\n`)
      this.write(`${at}/bInterfaceSubClass`, `${code.slice(2, 4)}\n`)
      this.write(`${at}/bInterfaceProtocol`, `${code.slice(4, 6)}\n`)
      this.#driver(at, driver ?? null)
    }
    this.link(`/sys/bus/usb/devices/${device.port}`, path)
    return path
  }

  #driver(path: string, driver: string | null): void {
    if (driver === null) return
    this.directory(`/sys/bus/usb/drivers/${driver}`)
    this.link(`${path}/driver`, `/sys/bus/usb/drivers/${driver}`)
  }

  block(path: string, devno: string): void {
    this.write(`${path}/dev`, `${devno}\n`)
    this.link(`/sys/class/block/${path.slice(path.lastIndexOf('/') + 1)}`, path)
  }

  publish(key: string, value: string): void {
    this.#qubesDb.push(`${key} = ${value}`)
  }

  /** A program of the qube, by its body in sh. @returns the directory for PATH */
  program(name: string, body: string): string {
    const bin = join(this.root, 'bin')
    mkdirSync(bin, { recursive: true })
    writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`)
    chmodSync(join(bin, name), 0o755)
    return bin
  }

  /** Where what was published is kept, a line each. */
  get qubesDbFile(): string {
    return join(this.root, 'qubesdb')
  }

  /** Programs that stand for the qube's QubesDB clients. @returns the directory for PATH */
  programs(name: string | null): string {
    const tree = '/qubes-usb-devices/'
    writeFileSync(this.qubesDbFile, this.#qubesDb.map((line) => `${tree}${line}\n`).join(''))
    this.program('qubesdb-read', `sed -n "s|^$1 = ||p" '${this.qubesDbFile}'`)
    const ownName = name === null ? '' : `echo '/name = ${name}';`
    return this.program(
      'qubesdb-multiread',
      `[ "$*" = '-f /name ${tree}' ] && { ${ownName} cat '${this.qubesDbFile}'; }`,
    )
  }
}
