import { randomUUID } from 'node:crypto'
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import qrexecClient from './dom0/qrexec-client.sh'
import policyExec from './dom0/qrexec-policy-exec.sh'
import type { Call, Domain, Engine, EngineHost, PluggedDevice } from './engine.ts'
import { LabError } from './errors.ts'
import { FAULTS, type Fault } from './faults.ts'
import { type Closable, makeFifos } from './fifo.ts'
import type { DeviceDefinition, LabFile, QubeDefinition } from './file/schema.ts'
import { type Layout, layOut } from './layout.ts'
import { evaluatePolicy } from './policy/evaluate.ts'
import { writeProgram } from './process/guest-files.ts'
import { answerCalls } from './qrexec/answer-calls.ts'
import { Doors } from './qrexec/doors.ts'
import { keepTidy } from './qrexec/janitor.ts'
import { listenForQuestions } from './qrexec/rpc.ts'
import { writeSiteFile } from './site-file.ts'

/** What a fault of refused policy writes; its name sorts before every grant. */
const REFUSING_POLICY = '00-lab-fault.policy'

export type QubeState = 'running' | 'paused' | 'halted' | 'killed'

interface QubeRecord {
  readonly definition: QubeDefinition
  state: QubeState
  /** Its own and, with one, its stub domain's. */
  domains: readonly Domain[]
  /** What is plugged into it while it does not run, or will be when it starts. */
  devices: readonly DeviceDefinition[]
  lastDomain: readonly Domain[]
}

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
  readonly #qubes = new Map<string, QubeRecord>()
  readonly #closables: Closable[] = []
  readonly #faults: Fault[] = []
  #nextDomid = 1
  /** One command at a time. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(name: string, dir: string, file: LabFile, createEngine: (host: EngineHost) => Engine) {
    this.#name = name
    this.#file = file
    this.layout = layOut(dir)
    this.#doors = new Doors(this.layout)
    for (const definition of file.qubes) {
      this.#qubes.set(definition.name, {
        definition,
        state: 'halted',
        domains: [],
        lastDomain: [],
        devices: file.devices.filter((device) => device.backend === definition.name),
      })
    }
    this.#engine = createEngine(this.#host())
  }

  /** Makes the directory's content and starts the qubes that should run. */
  async open(): Promise<void> {
    this.#writeDom0()
    await makeFifos([this.layout.rpc])
    this.#closables.push(
      listenForQuestions(this.layout.rpc, (question) => {
        if (question.verb === 'kill') void this.#killDomid(question.domid)
        else this.#engine.question?.(question)
      }),
      keepTidy(this.layout.calls, (line) => this.log(line)),
    )
    const missing = await this.#engine.missing()
    if (missing.length > 0) throw new LabError(`The ${this.#engine.name} engine needs ${missing.join('; ')}`)
    await this.#engine.open()
    const starting = [...this.#qubes.values()].filter(({ definition }) => definition.state !== 'halted')
    await this.#startAll(starting)
    for (const { definition } of starting) {
      if (definition.state === 'paused') await this.#pause(definition.name, true)
    }
  }

  log(line: string): void {
    appendFileSync(this.layout.log, `${new Date().toISOString()} ${line}\n`)
  }

  async status(): Promise<LabStatus> {
    return {
      name: this.#name,
      engine: this.#engine.name,
      dir: this.layout.dir,
      site: this.layout.site,
      pid: process.pid,
      qubes: [...this.#qubes.values()].map(({ definition, state, domains }) => ({
        name: definition.name,
        state,
        domid: domains[0]?.domid ?? null,
        backend: definition.backend,
      })),
      devices: await this.#engine.devices(),
      faults: this.#faults,
    }
  }

  plug(device: DeviceDefinition): Promise<PluggedDevice> {
    return this.#inTurn(async () => {
      const record = this.#record(device.backend)
      const plugged = await this.#engine.plug(device)
      record.devices = [...record.devices, { ...device, port: plugged.port }]
      return plugged
    })
  }

  unplug(backend: string, port: string): Promise<void> {
    return this.#inTurn(async () => {
      const record = this.#record(backend)
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
      this.#faults.splice(
        0,
        this.#faults.length,
        ...others,
        ...(fault.on && !('once' in kind) ? [fault] : []),
      )
    })
  }

  exec(qube: string, argv: readonly string[]) {
    const domain = this.#domain(qube)
    if (domain === null) throw new LabError(`${qube} does not run.`)
    return this.#engine.exec(domain.name, argv)
  }

  /** Ends all processes and lets go of everything; the directory stays. */
  async close(): Promise<void> {
    for (const closable of this.#closables.splice(0)) closable.close()
    for (const { domains } of this.#qubes.values()) {
      for (const { name, domid } of domains) this.#doors.shut(name, domid)
    }
    await this.#engine.close()
  }

  async #do(fault: Fault): Promise<void> {
    const qube = fault.qube ?? ''
    switch (fault.name) {
      case 'policy-refuses':
        return this.#refusePolicy(fault.on)
      case 'killed':
        return this.#stop(qube, 'kill')
      case 'halt':
        return this.#stop(qube, 'halt')
      case 'start':
        await this.#startAll([this.#record(qube)])
        return
      case 'restart':
        await this.#stop(qube, 'halt')
        await this.#startAll([this.#record(qube)])
        return
      case 'pause':
        return this.#pause(qube, fault.on)
      case 'agent-frozen': {
        const domain = this.#domain(qube)
        if (domain === null) throw new LabError(`${qube} does not run.`)
        this.#doors.freeze(domain.domid, fault.on)
        return this.#engine.freezeAgent(domain, fault.on)
      }
      default: {
        const domain = this.#domain(qube)
        if (domain === null) throw new LabError(`${qube} does not run.`)
        // A stub domain does the USB of its qube.
        const stubdom = fault.name === 'no-free-port' ? this.#domain(`${qube}-dm`) : null
        return this.#engine.fault(stubdom === null ? fault : { ...fault, qube: stubdom.name })
      }
    }
  }

  #refusePolicy(on: boolean): void {
    const path = join(this.layout.policyDirs[0], REFUSING_POLICY)
    writeFileSync(path, on ? 'qubes.USB * @anyvm @anyvm deny\n' : '')
  }

  async #startAll(records: readonly QubeRecord[]): Promise<void> {
    const domains = records.flatMap((record) => {
      if (record.domains.length > 0) throw new LabError(`${record.definition.name} runs already.`)
      for (const { name, domid } of record.lastDomain) this.#doors.remove(name, domid)
      const { definition } = record
      const names = definition.stubdom ? [definition.name, `${definition.name}-dm`] : [definition.name]
      record.domains = names.map((name, index) => ({
        name,
        domid: this.#nextDomid++,
        qube: definition,
        isStubdom: index === 1,
      }))
      return record.domains
    })
    await makeFifos(domains.map(({ domid }) => this.#doors.path(domid)))
    for (const { name, domid } of domains) this.#doors.name(name, domid)
    await Promise.all(domains.map((domain) => this.#engine.start(domain)))
    await Promise.all(records.map((record) => this.#plugAll(record)))
  }

  async #plugAll(record: QubeRecord): Promise<void> {
    record.state = 'running'
    const plugged: DeviceDefinition[] = []
    for (const device of record.devices) {
      const { port } = await this.#engine.plug(device)
      plugged.push({ ...device, port })
    }
    record.devices = plugged
  }

  async #stop(name: string, how: 'halt' | 'kill'): Promise<void> {
    const record = this.#record(name)
    if (record.domains.length === 0) throw new LabError(`${name} does not run.`)
    const domains = record.domains
    record.domains = []
    record.lastDomain = domains
    record.state = how === 'halt' ? 'halted' : 'killed'
    for (const domain of domains) {
      // Doors are shut first, so that no call slips in and waits for ever.
      this.#doors.shut(domain.name, domain.domid)
      await this.#engine.stop(domain, how)
      this.#doors.failCalls(domain.domid)
      if (how === 'halt') this.#doors.remove(domain.name, domain.domid)
    }
    this.#faults.splice(0, this.#faults.length, ...this.#faults.filter((fault) => fault.qube !== name))
  }

  async #pause(name: string, on: boolean): Promise<void> {
    const record = this.#record(name)
    if (record.domains.length === 0) throw new LabError(`${name} does not run.`)
    for (const domain of record.domains) {
      this.#doors.freeze(domain.domid, on)
      await this.#engine.pause(domain, on)
    }
    record.state = on ? 'paused' : 'running'
  }

  #killDomid(domid: number): Promise<void> {
    return this.#inTurn(async () => {
      const record = [...this.#qubes.values()].find(({ domains }) =>
        domains.some((each) => each.domid === domid),
      )
      if (record !== undefined) await this.#stop(record.definition.name, 'kill')
    })
  }

  #host(): EngineHost {
    return {
      dir: this.layout.dir,
      file: this.#file,
      qubeDir: (name) => join(this.layout.qubes, name),
      log: (line) => this.log(line),
      evaluate: (source, target, service) =>
        evaluatePolicy(this.layout.policyDirs, { source, target, service }),
      setDoorkeeper: ({ name, domid }, pid) => this.#doors.open(name, domid, pid),
      domain: (name) => this.#domain(name),
      autostart: async (name) => {
        const record = this.#qubes.get(name)
        if (record === undefined) return null
        await this.#inTurn(async () => {
          if (record.domains.length === 0) await this.#startAll([record])
        })
        return this.#domain(name)
      },
      answerCalls: async (domain, answer: (call: Call) => Promise<number>) => {
        const closable = answerCalls(this.#doors.path(domain.domid), answer, (line) => this.log(line))
        this.#doors.open(domain.name, domain.domid, process.pid)
        return closable
      },
    }
  }

  #domain(name: string): Domain | null {
    for (const { domains } of this.#qubes.values()) {
      const found = domains.find((domain) => domain.name === name)
      if (found !== undefined) return found
    }
    return null
  }

  #record(name: string): QubeRecord {
    const record = this.#qubes.get(name)
    if (record === undefined) throw new LabError(`This lab has no qube ${name}.`)
    return record
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work)
    this.#queue = done.catch(() => undefined)
    return done
  }

  #writeDom0(): void {
    const { layout } = this
    for (const dir of [
      ...layout.policyDirs,
      layout.calls,
      layout.doors,
      layout.links,
      layout.qubes,
      join(layout.dom0, 'proc/sys/kernel/random'),
      join(layout.dom0, 'var/lib/qusb'),
      join(layout.dom0, 'etc/qusb'),
      join(layout.dom0, 'run/qusb'),
      join(layout.dom0, 'etc/qubes-rpc/policy'),
    ]) {
      mkdirSync(dir, { recursive: true, mode: 0o700 })
    }
    writeFileSync(layout.bootId, `${randomUUID()}\n`)
    writeProgram(layout.qrexecClient, qrexecClient)
    writeProgram(layout.policyExec, policyExec)
    for (const [name, text] of Object.entries(this.#file.policy)) {
      writeFileSync(join(layout.policyDirs[1], name), text)
    }
    writeSiteFile(layout)
  }
}
