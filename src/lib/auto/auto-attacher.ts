import { QusbError } from '../errors.ts'
import { type AttachmentRecord, placeOf } from '../model/attachment.ts'
import { type Device, isSame } from '../model/device.ts'
import type { QubeName } from '../model/names.ts'
import type { Bell } from '../passthrough/bell.ts'
import type { Context } from '../passthrough/context.ts'
import { aliasesIfAny, type Naming, namingOf } from '../passthrough/naming.ts'
import { reconcile } from '../passthrough/reconcile.ts'
import type { Warning, WatchEvent } from '../passthrough/results.ts'
import { NO_CHANGE } from '../passthrough/sight.ts'
import type { Acting, Sighting } from '../passthrough/watch.ts'
import { decide } from '../rules/decide.ts'
import { readMoment } from '../site/moment.ts'
import { readHistory } from '../store/history.ts'
import { readState } from '../store/store.ts'
import { LeftAlone } from './left-alone.ts'
import type { Done } from './outcome.ts'
import { type Held, nextStep, observe, type Plugging, type Step } from './plugging.ts'
import { QubesdTurn } from './qubesd-turn.ts'
import { RuleBook } from './rule-book.ts'
import { type Doing, WorkOfRules } from './work.ts'

/** What an auto-attacher tells. */
export interface Telling {
  warn(warning: Warning): void
  tell(event: Omit<WatchEvent, 'schema' | 'at' | 'source'>): void
}

/** How far back the history is read for a detach, events. */
const LATELY = 100

/**
 * Applies the rules to what is seen. One look is one round: each device that is there is observed, the rules decide about
 * those that nobody has, and the work that follows runs beside the next looks. A device's work never waits for another's,
 * but for its turn at the same frontend.
 */
export class AutoAttacher implements Acting {
  readonly bell: Bell
  readonly #context: Context
  readonly #telling: Telling
  readonly #work: WorkOfRules
  readonly #book: RuleBook
  readonly #turn: QubesdTurn
  readonly #leftAlone: LeftAlone
  readonly #pluggings = new Map<string, Plugging>()
  /** The serials that backends publish, where they are others than the devices' own. */
  readonly #serials = new Map<QubeName, ReadonlyMap<string, string>>()
  #naming: Naming
  #records: readonly AttachmentRecord[] = []
  #last: Sighting | undefined
  #nextId = 1
  #storeTrouble: string | undefined
  #ending: Promise<void> = Promise.resolve()

  constructor(context: Context, bell: Bell, telling: Telling, doing: Doing) {
    this.#context = context
    this.bell = bell
    this.#telling = telling
    this.#work = new WorkOfRules(context, doing)
    this.#book = new RuleBook(context.site, telling.warn)
    this.#turn = new QubesdTurn(context)
    this.#leftAlone = new LeftAlone(context.site)
    this.#naming = namingOf(context.site)
  }

  /** Whether something has been begun that an interrupt would undo. */
  get isBusy(): boolean {
    return this.#work.isBusy
  }

  start(): void {
    this.#book.watch(() => this.bell.setAlarm(0))
  }

  /** When what was begun has come to its end. */
  async end(): Promise<void> {
    this.#book.close()
    await this.#work.end()
    await this.#ending
  }

  beforeLook(): void {
    this.#records = this.#orWarn(() => readState(this.#context.site).state.attachments, [])
  }

  async act(sighting: Sighting): Promise<void> {
    const isFirst = this.#last === undefined
    let hasStarted = false
    if (sighting !== this.#last) {
      this.#last = sighting
      this.#endRecords(sighting)
      for (const [name, survey] of sighting.look.surveys) {
        this.#serials.set(name, new Map(survey.publishedSerials.map(({ port, serial }) => [port, serial])))
      }
      hasStarted = await this.#turn.see(sighting)
    }
    const rulesChanged = this.#book.read()
    // The aliases as they are now.
    this.#naming = namingOf(this.#context.site)
    this.#observe(sighting)
    if (isFirst) this.#recall(sighting)
    this.#orWarn(() => this.#leftAlone.keep(this.#pluggings.values(), sighting.sight), undefined)
    for (const [place, plugging] of this.#pluggings) {
      if (rulesChanged || hasStarted) this.#reopen(place, plugging)
    }
    for (const [place, plugging] of this.#pluggings) this.#take(place, plugging)
  }

  /**
   * Attachments that are over are told so in the store: the device has left, or its frontend has. Nobody waits for it: a
   * frontend that hangs holds up what is left there, and no device.
   */
  #endRecords({ look }: Sighting): void {
    const records = this.#records
    this.#ending = this.#ending
      .then(async () => {
        for (const warning of await reconcile(this.#context, records, look)) this.#telling.warn(warning)
      })
      .catch((error: unknown) => this.#warnOfStore(error))
  }

  #observe({ sight }: Sighting): void {
    const around = {
      now: Date.now(),
      sight,
      slept: readMoment(this.#context.site).slept,
      wasDetached: (device: Device, held: Held) => this.#wasDetached(device, held),
    }
    const there = new Set<string>()
    for (const device of [...sight.devices.values()].flat()) {
      const place = placeOf(device)
      there.add(place)
      const known = this.#pluggings.get(place)
      const before = known !== undefined && isSame(known.device, device) ? known : undefined
      if (known !== undefined && before === undefined) this.#work.forget(known.id)
      const id = before?.id ?? this.#nextId++
      this.#pluggings.set(place, observe(before, device, id, around))
    }
    for (const [place, plugging] of this.#pluggings) {
      if (there.has(place)) continue
      this.#pluggings.delete(place)
      this.#work.forget(plugging.id)
    }
  }

  /** What a watcher before this one left alone is left alone. */
  #recall({ sight }: Sighting): void {
    for (const [place, plugging] of this.#pluggings) {
      if (plugging.state.kind !== 'open' || !this.#leftAlone.has(plugging, sight)) continue
      this.#pluggings.set(place, { ...plugging, state: { kind: 'closed', why: 'by-hand' } })
    }
  }

  /** By the history; where that is off, by the record, which a detach ends. */
  #wasDetached(device: Device, { by, since }: Held): boolean {
    const here = (entry: { backend: string; port: string; frontend: string }): boolean =>
      entry.backend === device.backend && entry.port === device.port && entry.frontend === by
    const { site, config } = this.#context
    if (this.#records.some((record) => record.phase === 'attached' && here(record))) return false
    if (!config.history.enabled) return true
    const { events } = this.#orWarn(() => readHistory(site, { limit: LATELY }), { events: [], skipped: 0 })
    return events.some((event) => here(event) && event.what === 'detached' && Date.parse(event.at) >= since)
  }

  /** New rules, or a qube that has started, are a new chance for what failed; a person's no, or detach, stands. */
  #reopen(place: string, plugging: Plugging): void {
    const { state } = plugging
    if (state.kind !== 'closed' || state.why !== 'failed') return
    this.#pluggings.set(place, { ...plugging, state: { kind: 'open', tries: 0, notBefore: Date.now() } })
  }

  /** What the rules want with a device now; begins it where there is something to do. */
  #take(place: string, plugging: Plugging): void {
    const step = this.#stepFor(plugging)
    if (step.kind === 'wait') this.bell.setAlarm(step.until)
    if (step.kind !== 'ask' && step.kind !== 'attach') return
    const tries = plugging.state.kind === 'open' ? plugging.state.tries : 0
    this.#pluggings.set(place, { ...plugging, state: { kind: 'busy' } })
    this.#work.begin({ plugging, step, tries, isStill: () => this.#isStill(place, plugging) }, (done) =>
      this.#finish(place, plugging, done),
    )
  }

  #stepFor(plugging: Plugging): Step {
    const sight = this.#last?.sight
    if (sight === undefined || this.#context.signal.aborted) return { kind: 'nothing' }
    const running = new Set(
      [...sight.qubes].filter(([, { state }]) => state === 'running').map(([name]) => name),
    )
    const { device } = plugging
    const publishedSerial = this.#serials.get(device.backend)?.get(device.port) ?? null
    const aliases = aliasesIfAny(this.#naming, device)
    const naming = this.#naming
    const candidate = {
      device,
      publishedSerial,
      aliases,
      // Searched for in usb.ids, and only where a rule is about a name.
      get description() {
        return naming.namesOf([device])(device)
      },
    }
    const decision = decide(this.#book.rules, candidate, { running })
    return nextStep(plugging, decision, { now: Date.now(), sight }, (which, frontend) =>
      this.#turn.overAt(which, frontend),
    )
  }

  #isStill(place: string, { id }: Plugging): boolean {
    return this.#pluggings.get(place)?.id === id
  }

  #finish(place: string, plugging: Plugging, { state, event, warnings }: Done): void {
    const current = this.#pluggings.get(place)
    const slept = readMoment(this.#context.site).slept
    if (current?.id === plugging.id && current.state.kind === 'busy') {
      const next = state({ now: Date.now(), slept, sight: this.#last?.sight ?? { qubes: new Map() } })
      this.#pluggings.set(place, { ...current, state: next })
      if (next.kind === 'open') this.bell.setAlarm(next.notBefore)
    }
    for (const warning of warnings) this.#telling.warn(warning)
    if (event !== undefined) this.#telling.tell({ ...NO_CHANGE, ...event })
    this.bell.ring(plugging.device.backend)
  }

  /** A store that cannot be used stops no watcher: attaches fail by themselves, and say why. */
  #orWarn<T>(work: () => T, otherwise: T): T {
    try {
      return work()
    } catch (error) {
      this.#warnOfStore(error)
      return otherwise
    }
  }

  #warnOfStore(error: unknown): void {
    if (!(error instanceof QusbError)) throw error
    if (this.#context.signal.aborted || error.message === this.#storeTrouble) return
    this.#storeTrouble = error.message
    this.#telling.warn({ qube: null, code: error.code, message: error.message, hint: error.hint ?? null })
  }
}
