import type { Domain, Engine } from './engine.ts'
import { LabError } from './errors.ts'
import { makeFifos } from './fifo.ts'
import type { DeviceDefinition, QubeDefinition } from './file/schema.ts'
import type { Doors } from './qrexec/doors.ts'

export type QubeState = 'running' | 'paused' | 'halted' | 'killed'

export interface QubeRecord {
  definition: QubeDefinition
  state: QubeState
  /** Its own and, with one, its stub domain's. */
  domains: readonly Domain[]
  /** What is plugged into it while it does not run, or will be when it starts. */
  devices: readonly DeviceDefinition[]
  lastDomains: readonly Domain[]
}

/** The qubes of a lab: which run, as which domains, and what is plugged into them. */
export class Qubes {
  readonly #qubes = new Map<string, QubeRecord>()
  readonly #doors: Doors
  readonly #engine: () => Engine
  #nextDomid = 1

  /** @param engine what makes them; asked for when it is needed, since it in turn needs the lab */
  constructor(
    definitions: readonly QubeDefinition[],
    devices: readonly DeviceDefinition[],
    doors: Doors,
    engine: () => Engine,
  ) {
    this.#doors = doors
    this.#engine = engine
    for (const definition of definitions) {
      this.#qubes.set(definition.name, {
        definition,
        state: 'halted',
        domains: [],
        lastDomains: [],
        devices: devices.filter((device) => device.backend === definition.name),
      })
    }
  }

  all(): readonly QubeRecord[] {
    return [...this.#qubes.values()]
  }

  has(name: string): boolean {
    return this.#qubes.has(name)
  }

  /** @throws LabError when there is none */
  get(name: string): QubeRecord {
    const record = this.#qubes.get(name)
    if (record === undefined) throw new LabError(`This lab has no qube ${name}.`)
    return record
  }

  /** The domain that runs under a name, stub domains included. */
  domain(name: string): Domain | null {
    for (const { domains } of this.#qubes.values()) {
      const found = domains.find((domain) => domain.name === name)
      if (found !== undefined) return found
    }
    return null
  }

  /** Starts qubes, each with a new domain id, and plugs in their devices. */
  async start(records: readonly QubeRecord[]): Promise<void> {
    const domains = records.flatMap((record) => {
      if (record.domains.length > 0) throw new LabError(`${record.definition.name} runs already.`)
      for (const { name, domid } of record.lastDomains) this.#doors.remove(name, domid)
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
    await Promise.all(domains.map((domain) => this.#engine().start(domain)))
    await Promise.all(records.map((record) => this.#plugAll(record)))
  }

  /** Switches a service on or off: it counts from the qube's next start. @throws LabError when there is no such qube */
  setService(name: string, service: string, on: boolean): void {
    const record = this.get(name)
    const others = record.definition.services.filter((each) => each !== service)
    record.definition = { ...record.definition, services: on ? [...others, service] : others }
  }

  async #plugAll(record: QubeRecord): Promise<void> {
    record.state = 'running'
    const plugged: DeviceDefinition[] = []
    for (const device of record.devices) {
      const { port } = await this.#engine().plug(device)
      plugged.push({ ...device, port })
    }
    record.devices = plugged
  }

  async stop(name: string, how: 'halt' | 'kill'): Promise<void> {
    const record = this.get(name)
    if (record.domains.length === 0) throw new LabError(`${name} does not run.`)
    const domains = record.domains
    record.domains = []
    record.lastDomains = domains
    record.state = how === 'halt' ? 'halted' : 'killed'
    for (const domain of domains) {
      // Doors are shut first, so that no call slips in and waits for ever.
      this.#doors.shut(domain.name, domain.domid)
      await this.#engine().stop(domain, how)
      this.#doors.failCalls(domain.domid)
      if (how === 'halt') this.#doors.remove(domain.name, domain.domid)
    }
  }

  async pause(name: string, on: boolean): Promise<void> {
    const record = this.get(name)
    if (record.domains.length === 0) throw new LabError(`${name} does not run.`)
    for (const domain of record.domains) {
      this.#doors.freeze(domain.domid, on)
      await this.#engine().pause(domain, on)
    }
    record.state = on ? 'paused' : 'running'
  }
}
