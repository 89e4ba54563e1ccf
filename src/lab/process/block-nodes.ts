import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { link, remove, writeAttributes } from './tree.ts'

/** A block device that a driver made. */
export interface BlockNode {
  /** `sda` */
  readonly name: string
  /** The port of the device that carries it. */
  readonly port: string
  readonly dir: string
  /** `8:0` */
  readonly dev: string
  readonly partitions: readonly string[]
}

/** SCSI disks in a qube's sysfs. */
export class BlockNodes {
  readonly #sys: string
  readonly #nodes = new Map<string, BlockNode>()
  #nextHost = 6

  constructor(sys: string) {
    this.#sys = sys
  }

  add(port: string, interfaceDir: string, blocks: number, partitions: number): BlockNode {
    const index = this.#freeIndex()
    const name = `sd${String.fromCharCode(97 + index)}`
    const host = this.#nextHost++
    const dir = join(interfaceDir, `host${host}/target${host}:0:0/${host}:0:0:0/block/${name}`)
    writeAttributes(dir, { dev: `8:${index * 16}`, size: String(blocks), ro: '0', removable: '1' })
    mkdirSync(join(dir, 'holders'))
    link(join(this.#sys, 'class/block', name), dir)
    link(join(this.#sys, 'block', name), dir)
    const parts = Array.from({ length: partitions }, (_, part) => `${name}${part + 1}`)
    for (const [part, partName] of parts.entries()) {
      const length = Math.floor((blocks - 2048) / partitions)
      writeAttributes(join(dir, partName), {
        partition: String(part + 1),
        dev: `8:${index * 16 + part + 1}`,
        start: String(2048 + part * length),
        size: String(length),
      })
      mkdirSync(join(dir, partName, 'holders'))
      link(join(this.#sys, 'class/block', partName), join(dir, partName))
    }
    const node = { name, port, dir, dev: `8:${index * 16}`, partitions: parts }
    this.#nodes.set(name, node)
    return node
  }

  /** The disk of a device, or null. */
  of(port: string): BlockNode | null {
    return [...this.#nodes.values()].find((node) => node.port === port) ?? null
  }

  byName(name: string): BlockNode | null {
    return this.#nodes.get(name) ?? null
  }

  remove(port: string): void {
    const node = this.of(port)
    if (node === null) return
    for (const name of [node.name, ...node.partitions]) remove(join(this.#sys, 'class/block', name))
    remove(join(this.#sys, 'block', node.name))
    this.#nodes.delete(node.name)
  }

  #freeIndex(): number {
    for (let index = 0; index < 26; index++) {
      if (!this.#nodes.has(`sd${String.fromCharCode(97 + index)}`)) return index
    }
    throw new Error('more than 26 disks in one qube')
  }
}
