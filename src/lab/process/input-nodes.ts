import { join } from 'node:path'
import type { DeviceFacts } from '../devices/facts.ts'
import { link, remove, writeAttributes } from './tree.ts'

interface InputNode {
  readonly port: string
  readonly event: string
  readonly sender: string | null
}

/** Input devices in a qube's sysfs, and the input senders that carry one to dom0. */
export class InputNodes {
  readonly #sys: string
  readonly #nodes: InputNode[] = []
  #next = 3

  constructor(sys: string) {
    this.#sys = sys
  }

  /** The HID device of an interface with one input and its event device. */
  add(port: string, interfaceDir: string, facts: DeviceFacts): void {
    const number = this.#next++
    const event = `event${number}`
    const ids = `0003:${facts.vendorId.toUpperCase()}:${facts.productId.toUpperCase()}`
    const hid = join(interfaceDir, `${ids}.${number.toString(16).toUpperCase().padStart(4, '0')}`)
    const input = join(hid, `input/input${number}`)
    writeAttributes(input, { name: facts.product ?? 'USB device', phys: `usb-0000:00:14.0-${port}/input0` })
    writeAttributes(join(input, event), { dev: `13:${64 + number}` })
    link(join(input, event, 'device'), input)
    link(join(input, 'device'), hid)
    link(join(this.#sys, 'class/input', event), join(input, event))
    this.#nodes.push({ port, event, sender: null })
  }

  /** Runs input senders for all event devices of a port; `pid` stands in their cgroup. */
  startSenders(port: string, pid: number): void {
    for (const [index, node] of this.#nodes.entries()) {
      if (node.port !== port || node.sender !== null) continue
      const sender = join(
        this.#sys,
        'fs/cgroup/system.slice/system-qubes\\x2dinput\\x2dsender\\x2dkeyboard.slice',
        `qubes-input-sender-keyboard@${node.event}.service`,
      )
      writeAttributes(sender, { 'cgroup.procs': String(pid), 'cgroup.events': 'populated 1\nfrozen 0' })
      this.#nodes[index] = { ...node, sender }
    }
  }

  remove(port: string): void {
    for (const node of this.#nodes.filter((each) => each.port === port)) {
      remove(join(this.#sys, 'class/input', node.event))
      if (node.sender !== null) remove(node.sender)
    }
    this.#nodes.splice(0, this.#nodes.length, ...this.#nodes.filter((each) => each.port !== port))
  }
}
