import { formatVidPid } from '../model/identity.ts'
import type { QubeName } from '../model/names.ts'
import type { Selector } from '../model/selector.ts'
import { attach } from '../passthrough/attach.ts'
import { describeDevice } from '../passthrough/choose.ts'
import type { Context } from '../passthrough/context.ts'
import { detach } from '../passthrough/detach.ts'
import type { Warning } from '../passthrough/results.ts'
import { ruleLabel } from '../rules/rule.ts'
import { closedBy, type Done, eventOf, failedWith, LEAVE_OPEN, type Task } from './outcome.ts'
import { holdBy, type Plugging } from './plugging.ts'
import { type Ask, oneAtATime, type YesNo } from './questions.ts'

/** How the work of rules is done. */
export interface Doing {
  ask: Ask
  /** Says on the desktop what was done. */
  notify(title: string, text: string): Promise<void>
  /** How long a question waits, ms. */
  askMs: number
  /** How long an attach may take, ms. */
  attachMs: number
  /** A device that types or points is given back unless it is confirmed in this time, ms; null: it is kept. */
  confirmInputMs: number | null
}

/** Questions, attaches and what follows them. Devices of one frontend take turns, all else runs side by side. */
export class WorkOfRules {
  readonly #context: Context
  readonly #doing: Doing
  readonly #ask: Ask
  readonly #turns = new Map<QubeName, Promise<void>>()
  readonly #running = new Map<number, { ending: AbortController; done: Promise<void> }>()
  #undoable = 0

  constructor(context: Context, doing: Doing) {
    this.#context = context
    this.#doing = doing
    this.#ask = oneAtATime(doing.ask)
  }

  /** Whether an attach is under way, or one that is yet to be confirmed. */
  get isBusy(): boolean {
    return this.#undoable > 0
  }

  begin(task: Task, onDone: (done: Done) => void): void {
    const ending = new AbortController()
    const onAbort = (): void => ending.abort()
    this.#context.signal.addEventListener('abort', onAbort, { once: true })
    const { id } = task.plugging
    const done = this.#do(task, ending.signal)
      .catch((error: unknown) => this.#fail(task, error))
      .then((outcome) => {
        this.#context.signal.removeEventListener('abort', onAbort)
        this.#running.delete(id)
        onDone(outcome)
      })
    this.#running.set(id, { ending, done })
  }

  /** The device has left: its question is withdrawn. An attach that has begun finds out by itself. */
  forget(id: number): void {
    this.#running.get(id)?.ending.abort()
  }

  async end(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ done }) => done))
  }

  async #do(task: Task, signal: AbortSignal): Promise<Done> {
    const { decision, kind } = task.step
    if (kind === 'ask') {
      const answer = await this.#ask(this.#question(task), signal)
      if (signal.aborted) return LEAVE_OPEN
      if (answer !== true) {
        const why = answer === false ? 'nobody said yes' : 'nobody could be asked'
        return closedBy(task, { event: 'rule-refused', message: why })
      }
    }
    return await this.#inTurn(decision.frontend, async () => {
      if (signal.aborted || !task.isStill()) return LEAVE_OPEN
      return await this.#attach(task, signal)
    })
  }

  #question(task: Task): YesNo {
    const { decision } = task.step
    const { device } = task.plugging
    const what = `${describeDevice(device)} (${formatVidPid(device)}${device.serial === null ? '' : `, serial ${device.serial}`})`
    return {
      title: 'qusb',
      text: `Attach ${what} at ${device.backend}:${device.port} to ${decision.frontend}?`,
      timeoutMs: this.#doing.askMs,
    }
  }

  /** The attaches to one frontend go one after the other, as its proxy wants it. */
  async #inTurn<T>(frontend: QubeName, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(frontend) ?? Promise.resolve()
    const mine = before.then(work)
    const over = mine.then(
      () => {},
      () => {},
    )
    this.#turns.set(frontend, over)
    try {
      return await mine
    } finally {
      if (this.#turns.get(frontend) === over) this.#turns.delete(frontend)
    }
  }

  async #attach(task: Task, signal: AbortSignal): Promise<Done> {
    const { decision } = task.step
    const { frontend, rule, options } = decision
    const { device } = task.plugging
    this.#undoable++
    let warnings: Warning[]
    try {
      const by: Context = { ...this.#context, rule: ruleLabel(rule), progress: () => {} }
      const result = await attach(by, {
        backend: device.backend,
        selector: selectorOf(task.plugging),
        frontend,
        force: false,
        replace: false,
        dryRun: false,
        start: options.start,
        via: 'qrexec',
        timeoutMs: this.#doing.attachMs,
      })
      warnings = result.warnings
    } finally {
      this.#undoable--
    }
    this.#notify(task, `${describeDevice(device)} is attached to ${frontend}.`)
    const event = eventOf(task, { event: 'rule-attached', message: null })
    const { confirmInputMs } = this.#doing
    if (confirmInputMs !== null && device.interfaces.some((code) => code.startsWith('03'))) {
      return await this.#confirm(task, event, warnings, confirmInputMs, signal)
    }
    return { state: (around) => holdBy(frontend, around), event, warnings }
  }

  /** A keyboard that has gone with its qube cannot say yes. */
  async #confirm(
    task: Task,
    event: NonNullable<Done['event']>,
    warnings: readonly Warning[],
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Done> {
    const { frontend } = task.step.decision
    const { device } = task.plugging
    const seconds = Math.round(timeoutMs / 1000)
    const text = `${describeDevice(device)} at ${device.backend}:${device.port} now types or points in ${frontend}. Keep it there? Without an answer in ${seconds} s it is given back.`
    // Until it is confirmed an interrupt has something to undo.
    this.#undoable++
    try {
      const answer = await this.#ask({ title: 'qusb', text, timeoutMs }, signal)
      if (answer === true || !task.isStill())
        return { state: (around) => holdBy(frontend, around), event, warnings }
      const { result, failure } = await detach(
        // A watcher that ends takes back what nobody has confirmed.
        { ...this.#context, signal: new AbortController().signal, progress: () => {} },
        {
          what: 'device',
          backend: device.backend,
          selector: selectorOf(task.plugging),
          frontend,
          dryRun: false,
          via: 'qrexec',
        },
      )
      if (failure !== undefined) throw failure
      const why =
        answer === undefined
          ? 'nobody could be asked to confirm it'
          : `nobody confirmed it within ${seconds} s`
      return closedBy(task, { event: 'rule-given-back', message: why }, [...warnings, ...result.warnings])
    } finally {
      this.#undoable--
    }
  }

  #fail(task: Task, error: unknown): Done {
    if (this.#context.signal.aborted) return LEAVE_OPEN
    const done = failedWith(task, error)
    const { decision } = task.step
    if (done.gaveUp === true) {
      const what = describeDevice(task.plugging.device)
      this.#notify(task, `${what} was not attached to ${decision.frontend}: ${done.event?.message ?? ''}`)
    }
    return done
  }

  #notify({ step }: Task, text: string): void {
    if (step.decision.options.notify) void this.#doing.notify('qusb', text).catch(() => {})
  }
}

/** Exactly this device at this place, or none: what a look saw may be another one by now. */
function selectorOf({ device }: Plugging): Selector {
  const { port, vendorId, productId, serial, interfaces } = device
  const text = [port, vendorId, productId, serial ?? '', interfaces.map((code) => `u${code}`).join('')].join(
    ':',
  )
  return { kind: 'full', port, vendorId, productId, serial, interfaces, text }
}
