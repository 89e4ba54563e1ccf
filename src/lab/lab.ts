import { appendFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { writeDom0 } from './dom0.ts'
import type { Call, Engine, EngineHost, PluggedDevice } from './engine.ts'
import { LabError } from './errors.ts'
import { FAULTS, type Fault } from './faults.ts'
import { type Closable, makeFifos } from './fifo.ts'
import type { DeviceDefinition, LabFile } from './file/schema.ts'
import { type Layout, layOut } from './layout.ts'
import { managementSite } from './management.ts'
import { type Decision, evaluatePolicy } from './policy/evaluate.ts'
import { answerCalls } from './qrexec/answer-calls.ts'
import { callDom0 } from './qrexec/dom0-services.ts'
import { Doors } from './qrexec/doors.ts'
import { keepTidy } from './qrexec/janitor.ts'
import { listenForQuestions } from './qrexec/rpc.ts'
import { type QubeState, Qubes } from './qubes.ts'
import { readGarbling } from './qubesd/garble.ts'
import { Qubesd } from './qubesd/qubesd.ts'
import { linkServices } from './qubesd/services.ts'
import { createWorld } from './qubesd/world-of-lab.ts'

/** What a fault of refused policy writes; its name sorts before every grant. */
const REFUSING_POLICY = '00-lab-fault.policy'

/** What `qusb lab status` tells. */
export interface LabStatus {
  readonly name: string
  readonly engine: 'process' | 'kernel'
  readonly dir: string
  readonly site: string
  readonly pid: number
  readonly qubes: readonly {
    readonly name: string
    readonly state: QubeState
    readonly domid: number | null
    readonly backend: boolean
    /** The value for QUSB_SITE that makes qusb run as in this qube; null where it is no management qube. */
    readonly site: string | null
  }[]
  readonly devices: readonly PluggedDevice[]
  readonly faults: readonly Fault[]
}

/** A lab: its dom0, its qubes by an engine, and what one can do to them. */
export class Lab {
  readonly layout: Layout
  readonly #name: string
  readonly #file: LabFile
  readonly #engine: Engine
  readonly #doors: Doors
  readonly #qubes: Qubes
  /** null where the lab is to have none. */
  readonly #qubesd: Qubesd | null
  readonly #closables: Closable[] = []
  readonly #faults: Fault[] = []
  /** One command at a time. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(name: string, dir: string, file: LabFile, createEngine: (host: EngineHost) => Engine) {
    this.#name = name
    this.#file = file
    this.layout = layOut(dir)
    this.#doors = new Doors(this.layout)
    this.#qubes = new Qubes(file.qubes, file.devices, this.#doors, () => this.#engine)
    this.#engine = createEngine(this.#host())
    this.#qubesd = file.qubesd === 'none' ? null : this.#createQubesd(file.qubesd)
  }

  /** Makes the directory's content and starts the qubes that should run. */
  async open(): Promise<void> {
    writeDom0(this.layout, this.#file.policy)
    await makeFifos([this.layout.rpc, this.layout.dom0Door])
    this.#closables.push(
      listenForQuestions(this.layout.rpc, (question) => {
        if (question.verb === 'kill') void this.#killDomid(question.domid)
        else if (question.verb === 'policy') question.reply(this.#sayPolicy(question.rest))
        else this.#engine.question?.(question)
      }),
      keepTidy(this.layout.calls, (line) => this.log(line)),
      answerCalls(
        this.layout.dom0Door,
        ({ service, ...call }) => callDom0(this.layout, { ...call, service: service ?? '' }),
        (line) => this.log(line),
      ),
    )
    const missing = await this.#engine.missing()
    if (missing.length > 0) throw new LabError(`The ${this.#engine.name} engine needs ${missing.join('; ')}`)
    await this.#engine.open()
    const starting = this.#qubes.all().filter(({ definition }) => definition.state !== 'halted')
    await this.#qubes.start(starting)
    for (const { definition } of starting) {
      if (definition.state === 'paused') await this.#qubes.pause(definition.name, true)
    }
    if (this.#qubesd !== null) {
      await this.#qubesd.listen()
      linkServices(this.layout.rpcDir, this.layout.qubesdSocket, this.#qubesd.generation)
      this.#closables.push(this.#qubesd)
    }
  }

  log(line: string): void {
    appendFileSync(this.layout.log, `${new Date().toISOString()} ${line}\n`)
  }

  async status(): Promise<LabStatus> {
    // qusb runs beside the lab's processes, not inside a virtual machine.
    const hasSites = this.#engine.name === 'process'
    return {
      name: this.#name,
      engine: this.#engine.name,
      dir: this.layout.dir,
      site: this.layout.site,
      pid: process.pid,
      qubes: this.#qubes.all().map(({ definition, state, domains }) => ({
        name: definition.name,
        state,
        domid: domains[0]?.domid ?? null,
        backend: definition.backend,
        site:
          hasSites && definition.management ? managementSite(join(this.layout.qubes, definition.name)) : null,
      })),
      devices: await this.#engine.devices(),
      faults: this.#faults,
    }
  }

  plug(device: DeviceDefinition): Promise<PluggedDevice> {
    return this.#inTurn(async () => {
      const record = this.#qubes.get(device.backend)
      const plugged = await this.#engine.plug(device)
      // What a fault pulled out there is not coming back.
      const others = record.devices.filter((other) => other.port !== plugged.port)
      record.devices = [...others, { ...device, port: plugged.port }]
      return plugged
    })
  }

  unplug(backend: string, port: string): Promise<void> {
    return this.#inTurn(async () => {
      const record = this.#qubes.get(backend)
      await this.#engine.unplug(backend, port)
      record.devices = record.devices.filter((device) => device.port !== port)
    })
  }

  fault(fault: Fault): Promise<void> {
    return this.#inTurn(async () => {
      const kind = FAULTS[fault.name]
      if (kind.qube === 'none' ? fault.qube !== null : fault.qube === null) {
        throw new LabError(
          kind.qube === 'none' ? `${fault.name} is for no one qube.` : `${fault.name} needs a qube.`,
        )
      }
      if ('once' in kind && !fault.on) throw new LabError(`${fault.name} cannot be taken back.`)
      await this.#do(fault)
      const others = this.#faults.filter((other) => other.name !== fault.name || other.qube !== fault.qube)
      this.#setFaults([...others, ...(fault.on && !('once' in kind) ? [fault] : [])])
    })
  }

  exec(qube: string, argv: readonly string[]) {
    const domain = this.#qubes.domain(qube)
    if (domain === null) throw new LabError(`${qube} does not run.`)
    return this.#engine.exec(domain.name, argv)
  }

  /** Ends all processes and lets go of everything, even when the directory is lost; it stays otherwise. */
  async close(): Promise<void> {
    for (const closable of this.#closables.splice(0)) closable.close()
    try {
      for (const { name, domid } of this.#qubes.all().flatMap(({ domains }) => domains)) {
        this.#doors.shut(name, domid)
      }
    } finally {
      await this.#engine.close()
    }
  }

  async #do(fault: Fault): Promise<void> {
    const qube = fault.qube ?? ''
    switch (fault.name) {
      case 'policy-refuses':
        return this.#refusePolicy(fault.on)
      case 'qubesd-slow':
      case 'qubesd-silent':
      case 'qubesd-restarting':
      case 'qubesd-lying':
      case 'qubesd-garbled':
        return this.#troubleQubesd(fault)
      case 'killed':
        return this.#stop(qube, 'kill')
      case 'halt':
        return this.#stop(qube, 'halt')
      case 'start':
        await this.#qubes.start([this.#qubes.get(qube)])
        return
      case 'restart':
        await this.#stop(qube, 'halt')
        await this.#qubes.start([this.#qubes.get(qube)])
        return
      case 'pause':
        return this.#qubes.pause(qube, fault.on)
      case 'agent-frozen': {
        const domain = this.#qubes.domain(qube)
        if (domain === null) throw new LabError(`${qube} does not run.`)
        this.#doors.freeze(domain.domid, fault.on)
        return this.#engine.freezeAgent(domain, fault.on)
      }
      default: {
        const domain = this.#qubes.domain(qube)
        if (domain === null) throw new LabError(`${qube} does not run.`)
        // A stub domain does the USB of its qube.
        const stubdom = fault.name === 'no-free-port' ? this.#qubes.domain(`${qube}-dm`) : null
        return this.#engine.fault(stubdom === null ? fault : { ...fault, qube: stubdom.name })
      }
    }
  }

  #createQubesd(generation: '4.2' | '4.3'): Qubesd {
    const world = createWorld({
      layout: this.layout,
      qubes: () =>
        this.#qubes.all().map(({ definition, state, domains }) => ({
          definition,
          state,
          domid: domains[0]?.domid ?? null,
        })),
      devices: () => this.#engine.devices(),
      start: (name) => this.#inTurn(() => this.#qubes.start([this.#qubes.get(name)])),
      stop: (name, how) => this.#inTurn(() => this.#stop(name, how)),
      pause: (name, on) => this.#inTurn(() => this.#qubes.pause(name, on)),
      setService: (name, service, on) => this.#qubes.setService(name, service, on),
      permits: (source, qube, call) =>
        source === 'dom0' || this.#evaluate(source, qube, call).action === 'allow',
      log: (line) => this.log(line),
    })
    // The lab's process stands in its directory: a socket's path has a short limit.
    const path = relative(this.layout.dir, this.layout.qubesdSocket)
    return new Qubesd(world, path, generation, this.#file.assignments)
  }

  #troubleQubesd({ name, value, on }: Fault): void {
    const qubesd = this.#qubesd
    if (qubesd === null) throw new LabError('This lab has no qubesd.')
    if (name === 'qubesd-garbled') {
      const garbling = on ? readGarbling(value ?? 'half') : null
      if (garbling === undefined) throw new LabError(`${value} is no way to garble an answer.`)
      qubesd.garble(garbling)
      return
    }
    const seconds = value ?? (name === 'qubesd-restarting' ? '1' : '2')
    if (!/^[0-9]+(\.[0-9]+)?$/.test(seconds)) throw new LabError(`${seconds} is not a number of seconds.`)
    if (name === 'qubesd-slow') qubesd.slow(on ? Number(seconds) : 0)
    else if (name === 'qubesd-silent') qubesd.silence(on)
    else if (name === 'qubesd-lying') qubesd.lie(on)
    else qubesd.restart(Number(seconds))
  }

  #refusePolicy(on: boolean): void {
    const path = join(this.layout.policyDirs[0], REFUSING_POLICY)
    if (on) writeFileSync(path, 'qubes.USB * @anyvm @anyvm deny\n')
    else rmSync(path, { force: true })
  }

  /** For qrexec-policy-exec: the action, then what decided. */
  #sayPolicy(text: string): string {
    const [source = '', target = '', service = ''] = text.split(' ')
    const { action, reason } = this.#evaluate(source, target, service)
    return `${action} ${reason.replace(/\s+/g, ' ').slice(0, 1000)}`
  }

  #evaluate(source: string, target: string, service: string): Decision {
    const decision = evaluatePolicy(this.layout.policyDirs, { source, target, service })
    if (decision.action === 'deny' || this.#qubes.has(decision.target) || decision.target === 'dom0')
      return decision
    return { ...decision, action: 'deny', reason: `invalid target: ${decision.target}` }
  }

  #host(): EngineHost {
    return {
      dir: this.layout.dir,
      file: this.#file,
      qubeDir: (name) => join(this.layout.qubes, name),
      log: (line) => this.log(line),
      evaluate: (source, target, service) => this.#evaluate(source, target, service),
      setDoorkeeper: ({ name, domid }, pid) => this.#doors.open(name, domid, pid),
      domain: (name) => this.#qubes.domain(name),
      callDom0: (call) => callDom0(this.layout, call),
      autostart: async (name) => {
        const record = this.#qubes.has(name) ? this.#qubes.get(name) : null
        if (record === null) return null
        await this.#inTurn(async () => {
          if (record.domains.length === 0) await this.#qubes.start([record])
        })
        return this.#qubes.domain(name)
      },
      answerCalls: async (domain, answer: (call: Call) => Promise<number>) => {
        const closable = answerCalls(this.#doors.path(domain.domid), answer, (line) => this.log(line))
        this.#doors.open(domain.name, domain.domid, process.pid)
        return closable
      },
    }
  }

  /** A qube that has stopped has no faults any more. */
  async #stop(name: string, how: 'halt' | 'kill'): Promise<void> {
    await this.#qubes.stop(name, how)
    this.#setFaults(this.#faults.filter((fault) => fault.qube !== name))
  }

  #setFaults(faults: readonly Fault[]): void {
    this.#faults.splice(0, this.#faults.length, ...faults)
  }

  #killDomid(domid: number): Promise<void> {
    return this.#inTurn(async () => {
      const record = this.#qubes.all().find(({ domains }) => domains.some((each) => each.domid === domid))
      if (record !== undefined) await this.#stop(record.definition.name, 'kill')
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work)
    this.#queue = done.catch(() => undefined)
    return done
  }
}
