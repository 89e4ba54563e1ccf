import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import type { Server } from 'node:net'
import { join } from 'node:path'
import type { CreateEngine, Domain, Engine, EngineHost, ExecPlan } from '../engine.ts'
import { NotInThisEngine } from '../engine.ts'
import { answerCall, type CallParts, connectCall } from './calls.ts'
import { createGuestFaults } from './faults.ts'
import { createPortFiller } from './fill-ports.ts'
import execScript from './guest/exec.sh'
import type { Guest } from './guest.ts'
import { askGuest, quoteForAgent } from './guest-call.ts'
import { type Hub, type OutgoingCall, openHub } from './hub.ts'
import { buildBase, packQube } from './image.ts'
import { becomeQube, keepMachine, startGuest } from './kept-machine.ts'
import { createLinks } from './links.ts'
import { getParts, type Parts } from './parts.ts'
import { PartsMissing } from './parts-missing.ts'
import { createGuestDevices, type GuestDevices, openEcho } from './plugged.ts'
import { servicesOf } from './services.ts'
import type { Vm } from './vm.ts'

const QUESTION_LIMIT = 30_000

/** A domain with its virtual machine. */
interface Running extends Guest {
  readonly domain: Domain
  readonly hub: Hub
  readonly door: Guest['door']
  readonly calls: { close(): void }
  readonly devices: GuestDevices
}

interface Opened {
  readonly parts: Parts
  readonly base: Buffer
  readonly echo: Server
}

/** The engine whose qubes are virtual machines with a stock Debian kernel. */
export const createKernelEngine: CreateEngine = (host) => {
  const running = new Map<string, Running>()
  /** Machines from their first moment, so that an end in the middle of a start leaves none behind. */
  const machines = new Set<Vm>()
  const links = createLinks()
  const faults = createGuestFaults()
  const filler = createPortFiller(host.dir)
  let opened: Promise<Opened> | undefined

  const needOpen = async (): Promise<Opened> => {
    if (!opened) throw new Error('the kernel engine is not open')
    return await opened
  }
  const guestOf = (name: string): Running => {
    const guest = running.get(name)
    if (!guest) throw new Error(`${name} does not run`)
    return guest
  }

  const parts: CallParts = {
    host,
    faults,
    links,
    guest: (name) => running.get(name),
    yank(backend, line) {
      const { devices } = guestOf(backend)
      const id = Number(line.split(' ')[0])
      void devices
        .portOf(id >>> 16, id & 0xffff)
        .then((port) => (port === null ? undefined : devices.unplug(port)))
        .catch((error: Error) => host.log(`yank: ${error.message}`))
    },
  }
  const connect = async (from: Domain, call: OutgoingCall): Promise<number> =>
    (await filler.answer(from.name, call)) ? 0 : await connectCall(parts, from.name, call)

  const boot = async (domain: Domain, hub: Hub, token: string): Promise<Running> => {
    const { parts: pieces, base, echo } = await needOpen()
    const { name, domid, qube, isStubdom } = domain
    const folder = host.qubeDir(name)
    await mkdir(folder, { recursive: true })
    const { publishes, profileNoise, services } = qube
    if (qube.vhciPorts !== undefined)
      throw new NotInThisEngine(
        'the kernel engine has as many ports as its kernel: vhciPorts is for the process engine',
      )
    const usb = qube.backend && !isStubdom
    const programs = servicesOf(domain)
    const archive = packQube({ name, domid, token, publishes, profileNoise, services, programs })
    const kept = await keepMachine({ parts: pieces, base, usb, log: host.log })
    const vm = await startGuest(pieces, kept, { name, folder, usb, hubPort: hub.port })
    machines.add(vm)
    void vm.ended.then(() => machines.delete(vm))
    const guest = { vm, agent: { port: vm.agentPort, token }, door: { port: vm.doorPort, token } }
    try {
      await becomeQube(vm, kept, archive)
      const calls = await host.answerCalls(domain, (call) => answerCall(parts, name, call))
      const devices = createGuestDevices(host, name, guest, echo)
      return { ...guest, domain, hub, calls, devices }
    } catch (error) {
      await vm.kill()
      throw error
    }
  }

  const stop = async ({ name }: Domain): Promise<void> => {
    const guest = running.get(name)
    if (!guest) return
    running.delete(name)
    await guest.vm.kill()
    guest.calls.close()
    guest.hub.close()
    await guest.devices.release()
  }

  const engine: Engine = {
    name: 'kernel',
    async missing() {
      try {
        await getParts({ log: (line) => host.log(line) })
        return []
      } catch (error) {
        if (error instanceof PartsMissing) return [`${error.message}. ${error.hint}`]
        throw error
      }
    },
    async open() {
      opened = openParts(host)
      await opened
    },
    async start(domain) {
      const token = randomBytes(16).toString('hex')
      const hub = await openHub(token, (call) => connect(domain, call))
      try {
        running.set(domain.name, await boot(domain, hub, token))
      } catch (error) {
        hub.close()
        throw error
      }
    },
    stop,
    async pause({ name }, on) {
      await guestOf(name).vm.qmp.execute(on ? 'stop' : 'cont')
    },
    async freezeAgent({ name }, on) {
      await askGuest(guestOf(name).door, on ? 'freeze' : 'thaw', QUESTION_LIMIT)
    },
    plug: (definition) => guestOf(definition.backend).devices.plug(definition),
    unplug: (backend, port) => guestOf(backend).devices.unplug(port),
    async devices() {
      return (await Promise.all([...running.values()].map(({ devices }) => devices.list()))).flat()
    },
    async fault(fault) {
      const qube = fault.qube ?? ''
      if (fault.name === 'link-closed') host.log(`${links.close(qube)} links of ${qube} closed`)
      else if (fault.name === 'link-stalled') links.stall(qube, fault.on)
      else if (fault.name === 'no-free-port') await filler.fill(qube, guestOf(qube), fault.on)
      else if (!(await faults.set(fault, () => guestOf(qube))))
        throw new NotInThisEngine(
          `the kernel engine does not do the fault ${fault.name}: the process engine does`,
        )
    },
    async exec(qube, argv): Promise<ExecPlan> {
      const { parts: pieces } = await needOpen()
      const { door } = guestOf(qube)
      const words = argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`)
      return {
        file: pieces.busybox,
        args: [
          'sh',
          join(host.dir, 'kernel-exec.sh'),
          pieces.busybox,
          `${door.port}`,
          quoteForAgent(words.join(' ')),
        ],
        env: { QUSB_LAB_TOKEN: door.token },
        cwd: host.dir,
      }
    },
    async close() {
      links.closeAll()
      faults.release()
      await filler.release()
      await Promise.all([...running.values()].map(({ domain }) => stop(domain)))
      await Promise.all([...machines].map((vm) => vm.kill()))
      const { echo } = (await opened?.catch(() => undefined)) ?? {}
      echo?.close()
      opened = undefined
    },
  }
  return engine
}

async function openParts(host: EngineHost): Promise<Opened> {
  const parts = await getParts({ log: (line) => host.log(line) })
  await writeFile(join(host.dir, 'kernel-exec.sh'), execScript)
  return { parts, base: await buildBase(parts), echo: await openEcho() }
}
