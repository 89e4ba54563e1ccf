import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Domain } from '../engine.ts'
import type { Closable, FifoPool } from '../fifo.ts'
import agentScript from '../guest/agent.sh'
import { writeManagementSite } from '../management.ts'
import { Backend } from './backend.ts'
import { type DiskParts, renewRoot } from './disk.ts'
import { writeGuestFiles, writeProgram } from './guest-files.ts'
import { showUses } from './in-use.ts'
import { KernelError } from './kernel-error.ts'
import { store } from './kernel-store.ts'
import type { Link, Links } from './links.ts'
import { QubesDb } from './qubesdb.ts'
import { QubeSystem } from './system.ts'
import { link } from './tree.ts'
import { UsbTree } from './usb-tree.ts'
import { Vhci } from './vhci.ts'

const CONTROLLER = 'devices/pci0000:00/0000:00:14.0'
/** Of each hub, as with the kernels of Qubes. */
const VHCI_PORTS = 8
/** How long a bind waits for the unbind that was written before it into another file. */
const BIND_PATIENCE = 200

export interface QubeParts {
  readonly labDir: string
  readonly root: string
  readonly door: string
  readonly disk: DiskParts
  readonly bootId: string
  readonly links: Links
  readonly fifos: FifoPool
  readonly domidOf: (qube: string) => number | null
  readonly log: (line: string) => void
}

/** A running domain of the process engine: a directory, a kernel of its own making, and an agent process. */
export class Qube {
  readonly domain: Domain
  readonly root: string
  readonly backend: Backend | null
  readonly vhci: Vhci | null
  readonly db: QubesDb
  readonly #parts: QubeParts
  readonly #system: QubeSystem
  readonly #controls: Closable[] = []
  #agent: ChildProcess | null = null
  /** Writes to sysfs one after the other, as they came. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(domain: Domain, parts: QubeParts) {
    this.domain = domain
    this.root = parts.root
    this.#parts = parts
    renewRoot(parts.root, parts.disk)
    this.#system = new QubeSystem(parts.root, () => this.environment(), parts.log)
    writeGuestFiles(parts.root, domain, parts.bootId)
    if (domain.qube.management && !domain.isStubdom) {
      const { name, domid } = domain
      writeManagementSite({ root: parts.root, labDir: parts.labDir, name, domid })
    }
    showUses(parts.root, [], parts.domidOf)
    this.db = new QubesDb(parts.root, domain.name)
    const tree = new UsbTree(parts.root)
    const { qube, isStubdom } = domain
    if (qube.backend && !isStubdom) {
      tree.addRootHub(CONTROLLER, 480, 15)
      tree.addRootHub(CONTROLLER, 5000, 15)
      mkdirSync(join(parts.root, 'sys/bus/usb/drivers/usbip-host'), { recursive: true })
      this.backend = new Backend({
        root: parts.root,
        tree,
        db: this.db,
        fifos: parts.fifos,
        links: parts.links,
        publishes: qube.publishes,
        senderPid: () => this.agentPid,
        domidOf: parts.domidOf,
        onUevent: (action, devpath) => this.#system.tell(action, devpath),
        onSockfd: (port, line) => this.#echoed(`/sys/bus/usb/devices/${port}/usbip_sockfd`, line),
        log: parts.log,
      })
    } else {
      this.backend = null
    }
    const importsHere = isStubdom || (qube.proxy.frontend && !qube.stubdom)
    this.vhci = importsHere
      ? new Vhci(parts.root, tree, parts.links, qube.vhciPorts ?? VHCI_PORTS, parts.log)
      : null
  }

  get agentPid(): number {
    return this.#agent?.pid ?? 0
  }

  /** Starts the agent; resolves with when it answers. `onExit` is told if it ends unasked. */
  async start(onExit: () => void): Promise<void> {
    const { root, door } = this.#parts
    for (const file of this.#controlFiles()) {
      this.#controls.push(
        await this.#parts.fifos.listen(join(root, file), (line) => this.#echoed(`/${file}`, line)),
      )
    }
    const script = join(root, 'usr/lib/qubes/qrexec-agent')
    writeProgram(script, agentScript)
    const agent = spawn('/bin/sh', [script, door], {
      detached: true,
      cwd: root,
      env: this.environment(),
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    this.#agent = agent
    agent.once('exit', () => {
      if (this.#agent === agent) onExit()
    })
    await once(agent.stdout, 'data')
    agent.stdout.destroy()
    if (agent.pid !== undefined) this.showProcess(agent.pid)
    await this.#system.boot(this.domain.qube.services)
  }

  /** What a program in the qube has in its environment. */
  environment(): Record<string, string> {
    return {
      PATH: `${join(this.root, 'usr/bin')}:${join(this.root, 'usr/lib/qubes')}:${process.env.PATH ?? '/usr/bin:/bin'}`,
      QUSB_ROOT: this.root,
      QUSB_LAB: this.#parts.labDir,
      QUSB_DOMID: String(this.domain.domid),
      HOME: this.root,
      LANG: 'C.UTF-8',
    }
  }

  /** Signals the agent alone, or with all that it started. */
  signal(signal: NodeJS.Signals, whom: 'agent' | 'all'): void {
    if (whom === 'all') this.#system.signal(signal)
    const pid = this.#agent?.pid
    if (pid === undefined) return
    try {
      process.kill(whom === 'all' ? -pid : pid, signal)
    } catch {
      // It has ended on its own.
    }
  }

  /** Ends everything at once. */
  async stop(): Promise<void> {
    const agent = this.#agent
    this.#agent = null
    this.#system.end()
    if (agent?.pid !== undefined) {
      const ended = agent.exitCode !== null || agent.signalCode !== null ? null : once(agent, 'exit')
      try {
        process.kill(-agent.pid, 'SIGKILL')
      } catch {
        // Nothing of it is left.
      }
      await ended
    }
    for (const control of this.#controls.splice(0)) control.close()
    this.vhci?.close()
    await this.backend?.close()
  }

  /** A write to sysfs from a service. @throws KernelError */
  store(path: string, value: string, link: Link | null): Promise<void> {
    const done = this.#queue.then(() => store(this, path, value, link))
    this.#queue = done.catch(() => undefined)
    return done
  }

  /** Shows a process in the qube's /proc, where a root shell looks for it. */
  showProcess(pid: number): void {
    link(join(this.root, 'proc', String(pid)), `/proc/${pid}`)
  }

  /** A line that somebody wrote with a plain `echo`: nobody hears of its error. */
  #echoed(path: string, line: string): void {
    const binds = path.endsWith('usb/bind')
    const until = Date.now() + (binds ? BIND_PATIENCE : 0)
    const attempt = (): void => {
      this.store(path, line, null).catch((error: Error) => {
        // Two FIFOs have no common order: the unbind that was written first may come second.
        if (error instanceof KernelError && error.errno === 'EBUSY' && Date.now() < until)
          setTimeout(attempt, 10)
        else this.#parts.log(`${this.domain.name}: echo ${line} > ${path}: ${error.message}`)
      })
    }
    attempt()
  }

  #controlFiles(): readonly string[] {
    const drivers = 'sys/bus/usb/drivers'
    const backend = ['usb/bind', 'usb/unbind', 'usbip-host/bind', 'usbip-host/unbind']
    return [
      ...(this.backend === null ? [] : backend.map((file) => `${drivers}/${file}`)),
      ...(this.vhci === null
        ? []
        : ['attach', 'detach'].map((file) => `sys/devices/platform/vhci_hcd.0/${file}`)),
    ]
  }
}
