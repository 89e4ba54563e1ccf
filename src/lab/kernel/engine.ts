import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import type { Call, CreateEngine, Domain, Engine, EngineHost, ExecPlan, PluggedDevice } from '../engine.ts'
import { NotInThisEngine } from '../engine.ts'
import type { DeviceDefinition } from '../file/schema.ts'
import type { Decision } from '../policy/evaluate.ts'
import { createGuestFaults, type GuestFaults } from './faults.ts'
import { createPortFiller } from './fill-ports.ts'
import execScript from './guest/exec.sh'
import { type Guest, runScript, waitUntilReady } from './guest.ts'
import { askGuest, callGuest } from './guest-call.ts'
import { type Hub, type OutgoingCall, openHub, portOf } from './hub.ts'
import { buildBase, buildImage } from './image.ts'
import { createLinks } from './links.ts'
import { getParts, type Parts } from './parts.ts'
import { PartsMissing } from './parts-missing.ts'
import { servicesOf } from './services.ts'
import { ensureImage } from './stick-image.ts'
import { listDevices, putToUse, waitForDevice } from './survey.ts'
import { choosePort, plugIntoQemu, pullFromQemu, type QemuDevice } from './usb.ts'
import { startVm } from './vm.ts'

/** Boots in seconds; a machine busy with other things takes longer, and nobody gains by giving up. */
const BOOT_LIMIT = 180_000
const SCRIPT_LIMIT = 20_000
const MEMORY = 128

/** A domain with its virtual machine. */
interface Running extends Guest {
  readonly domain: Domain
  readonly hub: Hub
  readonly agentDoor: { close(): void }
  readonly devices: Map<string, QemuDevice>
}

interface Opened {
  readonly parts: Parts
  readonly base: Buffer
  readonly echo: Server
}

/** The engine whose qubes are virtual machines with a stock Debian kernel. */
export const createKernelEngine: CreateEngine = (host) => {
  const running = new Map<string, Running>()
  const links = createLinks()
  const faults: GuestFaults = createGuestFaults()
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

  const start = async (domain: Domain): Promise<void> => {
    const { parts, base } = await needOpen()
    const folder = host.qubeDir(domain.name)
    await mkdir(folder, { recursive: true })
    const token = randomBytes(16).toString('hex')
    const initrd = join(folder, 'initrd')
    const role = domain.qube.backend && !domain.isStubdom ? 'backend' : 'frontend'
    const { publishes, profileNoise } = domain.qube
    const programs = servicesOf(domain)
    const { name, domid } = domain
    const config = { name, domid, role, token, publishes, profileNoise, programs } as const
    await writeFile(initrd, buildImage(base, config), { mode: 0o600 })
    const hub = await openHub(token, (call) => connect(domain, call))
    try {
      const vm = await startVm(parts, {
        name: domain.name,
        folder,
        initrd,
        memory: MEMORY,
        usb: role === 'backend',
        hubPort: hub.port,
      })
      const guest: Guest = {
        vm,
        agent: { port: vm.agentPort, token },
        door: { port: vm.doorPort, token },
      }
      try {
        await waitUntilReady(guest, domain.name, BOOT_LIMIT, () =>
          readFile(vm.console, 'utf8').catch(() => ''),
        )
        const agentDoor = await host.answerCalls(domain, (call) => answer(domain, call))
        running.set(domain.name, { ...guest, domain, hub, agentDoor, devices: new Map() })
      } catch (error) {
        await vm.kill()
        throw error
      }
    } catch (error) {
      hub.close()
      throw error
    }
  }

  const stop = async (domain: Domain): Promise<void> => {
    const guest = running.get(domain.name)
    if (!guest) return
    running.delete(domain.name)
    await guest.vm.kill()
    guest.agentDoor.close()
    guest.hub.close()
  }

  /** A call from dom0: its streams to the guest and back. */
  const answer = async (domain: Domain, call: Call): Promise<number> => {
    const { agent, vm } = guestOf(domain.name)
    await faults.beforeService(domain.name)
    const { user, source } = call
    const request =
      call.service !== null ? { service: call.service, source, user } : { command: call.command ?? '', user }
    // How long to wait for an agent that says nothing is the caller's affair.
    const { data, stderr, exit } = await callGuest(agent, request, 0)
    call.stdin.pipe(data)
    // A caller that dies ends nothing but its input; what the service still says goes nowhere.
    call.stdin.once('close', () => data.end())
    call.stdout.once('close', () => data.resume())
    call.stderr.once('close', () => stderr.resume())
    data.pipe(call.stdout)
    stderr.pipe(call.stderr)
    const closed = new Promise<void>((resolve) => data.once('close', () => resolve()))
    const code = await Promise.race([exit, vm.ended.then(() => null)])
    // A program left behind may hold the connection; the service has ended all the same.
    await Promise.race([closed, wait(500, undefined, { ref: false })])
    call.stdin.unpipe(data)
    data.destroy()
    return code ?? 125
  }

  /** A call from a guest: policy, then the target's service at the other end of the same connection. */
  const connect = async (from: Domain, call: OutgoingCall): Promise<number> => {
    const { target, service, socket } = call
    if (await filler.answer(from.name, call)) return 0
    const decision = host.evaluate(from.name, target, service)
    const to = decision.action === 'allow' ? await reach(decision) : undefined
    host.log(`${from.name} -> ${target} ${service}: ${decision.action}${to ? '' : ', no connection'}`)
    if (!to) {
      call.refuse()
      return 126
    }
    const backend = to.domain.name
    const isExport = service.startsWith('qubes.USB+')
    try {
      call.accept()
      await faults.beforeService(backend)
      if (isExport) await faults.beforeExport(backend)
      const request = { service, source: from.name, user: decision.user ?? 'user' }
      const { data, stderr, exit } = await callGuest(to.agent, request, 0)
      createInterface(stderr).on('line', (line) => host.log(`${backend} ${service}: ${line}`))
      const firstWord = isExport && faults.takeYank(backend) ? yankBy(to) : undefined
      links.join({ frontend: from.name, backend, service }, socket, data, firstWord)
      return (await exit) ?? 125
    } catch (error) {
      host.log(`${from.name} -> ${backend} ${service}: ${(error as Error).message}`)
      socket.destroy()
      return 125
    }
  }

  /** The target of an allowed call, started if policy wants that. */
  const reach = async ({ target, autostart }: Decision): Promise<Running | undefined> => {
    if (!running.has(target) && autostart) await host.autostart(target)
    return running.get(target)
  }

  /** Pulls out the device whose handshake line (`BUSNUM<<16|DEVNUM SPEED`) is going by. */
  const yankBy = (guest: Running) => (line: string) => {
    const id = Number(line.split(' ')[0])
    void listDevices(guest)
      .then((devices) => devices.find(({ bus, number }) => (bus << 16) + number === id))
      .then((device) => device && unplug(guest.domain.name, device.port))
      .catch((error: Error) => host.log(`yank: ${error.message}`))
  }

  const plug = async (definition: DeviceDefinition): Promise<PluggedDevice> => {
    const { echo } = await needOpen()
    const guest = guestOf(definition.backend)
    const plugged = [...guest.devices.values()]
    const place = choosePort(definition, plugged)
    const folder = join(host.qubeDir(definition.backend), 'media')
    const image = join(host.qubeDir(definition.backend), `stick-${definition.serial ?? place.port}.img`)
    if (definition.kind === 'stick') await ensureImage(image, definition.sizeMiB)
    if (definition.kind === 'mtp') {
      await mkdir(folder, { recursive: true })
      await writeFile(join(folder, 'track.txt'), 'a track\n')
    }
    if (definition.hidden || definition.kind === 'tablet')
      await runScript(guest, `mkdir -p /run/hidden && touch '/run/hidden/${place.port}'`, SCRIPT_LIMIT)
    const supplies = { image, folder, echoPort: portOf(echo) }
    const device = await plugIntoQemu(guest.vm, definition, place, supplies, plugged)
    guest.devices.set(device.port, device)
    await waitForDevice(guest, device.port, SCRIPT_LIMIT)
    await putToUse(guest, device.port, definition)
    const found = (await devicesOf(guest)).find(({ port }) => port === device.port)
    if (!found) throw new Error(`${definition.backend} does not show ${device.port}`)
    return found
  }

  const unplug = async (backend: string, port: string): Promise<void> => {
    const guest = guestOf(backend)
    const device = guest.devices.get(port)
    if (!device) throw new Error(`nothing is plugged at ${port} of ${backend}`)
    guest.devices.delete(port)
    await pullFromQemu(guest.vm, device)
    await runScript(
      guest,
      `rm -f '/run/hidden/${port}'; i=0
       while [ -e '/sys/bus/usb/devices/${port}' ] && [ $i -lt 100 ]; do i=$((i + 1)); sleep 0.05; done`,
      SCRIPT_LIMIT,
    ).catch(() => host.log(`${backend} does not say that ${port} is gone`))
  }

  const devicesOf = async (guest: Running): Promise<PluggedDevice[]> => {
    const seen = new Map((await listDevices(guest)).map((device) => [device.port, device]))
    return [...guest.devices.values()].flatMap(({ port, kind, hidden, image = null }) => {
      const device = seen.get(port)
      if (!device) return []
      const { vendorId, productId, serial, driver, attachedTo } = device
      return [
        {
          backend: guest.domain.name,
          port,
          kind,
          vendorId,
          productId,
          serial,
          hidden,
          driver,
          attachedTo,
          image,
        },
      ]
    })
  }

  const exec = async (qube: string, argv: readonly string[]): Promise<ExecPlan> => {
    const { parts } = await needOpen()
    const { door } = guestOf(qube)
    const words = argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`)
    return {
      file: parts.busybox,
      args: ['sh', join(host.dir, 'kernel-exec.sh'), parts.busybox, `${door.port}`, words.join(' ')],
      env: { QUSB_LAB_TOKEN: door.token },
      cwd: host.dir,
    }
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
    start,
    stop,
    async pause(domain, on) {
      await guestOf(domain.name).vm.qmp.execute(on ? 'stop' : 'cont')
    },
    async freezeAgent(domain, on) {
      await askGuest(guestOf(domain.name).door, on ? 'freeze' : 'thaw', SCRIPT_LIMIT)
    },
    plug,
    unplug,
    async devices() {
      const backends = [...running.values()].filter(({ devices }) => devices.size > 0)
      return (await Promise.all(backends.map((guest) => devicesOf(guest)))).flat()
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
    exec,
    async close() {
      links.closeAll()
      faults.release()
      await filler.release()
      await Promise.all([...running.values()].map(({ domain }) => stop(domain)))
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
  // The far end of every serial adapter: what is written to it comes back.
  const echo = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  })
  await new Promise<void>((resolve, reject) => {
    echo.once('error', reject)
    echo.listen(0, '127.0.0.1', resolve)
  })
  return { parts, base: await buildBase(parts), echo }
}
