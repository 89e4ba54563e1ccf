import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createDevice } from '../devices/create.ts'
import { DEVICE_KINDS, type DeviceKind } from '../devices/kinds.ts'
import { ensureImage } from '../devices/stick-image.ts'
import type { CreateEngine, Domain, Engine, EngineHost, ExecPlan, PluggedDevice } from '../engine.ts'
import { NotInThisEngine } from '../engine.ts'
import type { Fault } from '../faults.ts'
import { FifoPool } from '../fifo.ts'
import type { DeviceDefinition } from '../file/schema.ts'
import { layOut } from '../layout.ts'
import type { Question } from '../qrexec/rpc.ts'
import type { Backend, Plugged } from './backend.ts'
import { planDisk } from './disk.ts'
import { setFault } from './faults.ts'
import { Links } from './links.ts'
import { Qube } from './qube.ts'
import { publishedName } from './qubesdb.ts'
import { Questions } from './questions.ts'

/** The engine whose qubes are directories and shell processes. Linux, Node and a POSIX shell are all it needs. */
export const createProcessEngine: CreateEngine = (host) => new ProcessEngine(host)

class ProcessEngine implements Engine {
  readonly name = 'process'
  readonly #host: EngineHost
  readonly #layout
  readonly #links: Links
  readonly #fifos: FifoPool
  readonly #qubes = new Map<string, Qube>()
  readonly #questions: Questions

  constructor(host: EngineHost) {
    this.#host = host
    this.#layout = layOut(host.dir)
    // Relative to the lab's directory, where its process stands: a socket's path has a short limit.
    this.#links = new Links('links')
    this.#fifos = new FifoPool(this.#layout.fifos)
    this.#questions = new Questions(host, this.#links, (domid) =>
      [...this.#qubes.values()].find((qube) => qube.domain.domid === domid),
    )
  }

  async missing(): Promise<readonly string[]> {
    return process.platform === 'linux' ? [] : ['Linux: the process engine reads /proc']
  }

  async open(): Promise<void> {
    for (const dir of [this.#layout.fifos, this.#layout.images]) mkdirSync(dir, { recursive: true })
    const { qubes } = this.#host.file
    await this.#fifos.fill(qubes.length * 3 + qubes.filter((qube) => qube.backend).length * 5)
  }

  async start(domain: Domain): Promise<void> {
    const qube = new Qube(domain, {
      labDir: this.#host.dir,
      root: this.#host.qubeDir(domain.name),
      disk: planDisk(domain.qube, this.#host.file.qubes, (name) => this.#host.qubeDir(name)),
      door: join(this.#layout.qubesRunDir, `qrexec.${domain.domid}`),
      bootId: readFileSync(this.#layout.bootId, 'utf8').trim(),
      links: this.#links,
      fifos: this.#fifos,
      domidOf: (name) => this.#host.domain(name)?.domid ?? null,
      log: (line) => this.#host.log(line),
    })
    this.#qubes.set(domain.name, qube)
    await qube.start(() => this.#host.log(`the agent of ${domain.name} has ended`))
    this.#host.setDoorkeeper(domain, qube.agentPid)
  }

  async stop(domain: Domain): Promise<void> {
    const qube = this.#qubes.get(domain.name)
    this.#qubes.delete(domain.name)
    await qube?.stop()
    this.#questions.domainEnded(domain.domid)
  }

  async pause(domain: Domain, on: boolean): Promise<void> {
    this.#qube(domain.name).signal(on ? 'SIGSTOP' : 'SIGCONT', 'all')
  }

  async freezeAgent(domain: Domain, on: boolean): Promise<void> {
    this.#qube(domain.name).signal(on ? 'SIGSTOP' : 'SIGCONT', 'agent')
  }

  async plug(definition: DeviceDefinition): Promise<PluggedDevice> {
    const kind = definition.kind
    if (!isKind(kind)) throw new NotInThisEngine(`a ${kind} is a device of the kernel engine only`)
    const backend = this.#backend(definition.backend)
    const image = this.#imageOf(definition)
    if (image !== null) await ensureImage(image, definition.sizeMiB)
    const { speed, serial, vendorId, productId, manufacturer, product, temperature } = definition
    const device = await createDevice({
      kind,
      ...(image === null ? {} : { image }),
      ...(speed === undefined ? {} : { speed }),
      ...(serial === undefined ? {} : { serial }),
      ...(vendorId === undefined ? {} : { vendorId }),
      ...(productId === undefined ? {} : { productId }),
      ...(manufacturer === undefined ? {} : { manufacturer }),
      ...(product === undefined ? {} : { product }),
      ...(temperature === undefined ? {} : { temperature }),
    })
    const port = definition.port ?? backend.freePort(device.speed)
    if (backend.plugged.has(port)) {
      await device.close()
      throw new Error(`something is plugged at ${port} of ${definition.backend}`)
    }
    const plugged = backend.plug(definition, device, port, image)
    return this.#tell(definition.backend, plugged)
  }

  async unplug(backend: string, port: string): Promise<void> {
    const at = this.#backend(backend)
    if (!at.plugged.has(port)) throw new Error(`nothing is plugged at ${port} of ${backend}`)
    await at.unplug(port)
  }

  async devices(): Promise<readonly PluggedDevice[]> {
    return [...this.#qubes.values()].flatMap((qube) =>
      [...(qube.backend?.plugged.values() ?? [])].map((plugged) => this.#tell(qube.domain.name, plugged)),
    )
  }

  async fault(fault: Fault): Promise<void> {
    setFault(this.#qube(fault.qube ?? ''), fault)
  }

  question(question: Question): void {
    this.#questions.answer(question)
  }

  async exec(name: string, argv: readonly string[]): Promise<ExecPlan> {
    const qube = this.#qube(name)
    const [command = 'sh', ...args] = argv
    return { file: '/usr/bin/env', args: ['--', command, ...args], env: qube.environment(), cwd: qube.root }
  }

  async close(): Promise<void> {
    this.#questions.close()
    await Promise.all([...this.#qubes.values()].map((qube) => qube.stop()))
    this.#qubes.clear()
    for (const link of this.#links.all()) this.#links.close(link)
  }

  #tell(name: string, { definition, node }: Plugged): PluggedDevice {
    const db = this.#qube(name).db
    return {
      backend: name,
      port: node.port,
      kind: definition.kind,
      vendorId: node.facts.vendorId,
      productId: node.facts.productId,
      serial: node.facts.serial,
      manufacturer: node.facts.manufacturer,
      product: node.facts.product,
      interfaces: node.facts.interfaces.map((each) => each.triple),
      hidden: definition.hidden,
      driver: node.driver,
      attachedTo: db.read(`/qubes-usb-devices/${publishedName(node.port)}/connected-to`),
      image: this.#imageOf(definition),
    }
  }

  /** A stick that is plugged again has the same content: its image is named by what it is. */
  #imageOf({ kind, backend, serial, port, speed }: DeviceDefinition): string | null {
    if (kind !== 'stick') return null
    const name = `${backend}-${serial ?? port ?? speed ?? 'stick'}`
      .replace(/[^A-Za-z0-9._-]/g, '_')
      .slice(0, 100)
    return join(this.#layout.images, `${name}.img`)
  }

  #qube(name: string): Qube {
    const qube = this.#qubes.get(name)
    if (qube === undefined) throw new Error(`${name} does not run`)
    return qube
  }

  #backend(name: string): Backend {
    const { backend } = this.#qube(name)
    if (backend === null) throw new Error(`${name} has no USB controller`)
    return backend
  }
}

const isKind = (kind: string): kind is DeviceKind => kind in DEVICE_KINDS
