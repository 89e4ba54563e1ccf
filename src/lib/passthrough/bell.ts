import { setTimeout as sleep } from 'node:timers/promises'
import type { QubeName } from '../model/names.ts'

/** The release of a device shows 1.2 to 1.3 s after it (docs/facts.md#release): a second look after a ring, ms. */
const AFTER_MS = 1800

/** Which backends a look is about. */
export type Rung = 'all' | ReadonlySet<QubeName>

/**
 * What wakes a watcher: at once, and once more when what is slow to show must have shown. However often it is rung, it
 * keeps one mark for each backend, so that a storm costs no more than a ring.
 */
export class Bell {
  #all = false
  readonly #marked = new Set<QubeName>()
  /** What was rung for since the look that comes after. */
  #later: { all: boolean; marked: Set<QubeName>; at: number } | undefined
  #alarm = Number.POSITIVE_INFINITY
  #nap: AbortController | undefined

  constructor(signal: AbortSignal) {
    signal.addEventListener('abort', () => this.ring('all'), { once: true })
  }

  /** Something is to be looked at: one backend, or anything. */
  ring(what: QubeName | 'all'): void {
    this.#mark(what)
    this.#later ??= { all: false, marked: new Set(), at: 0 }
    if (what === 'all') this.#later.all = true
    else this.#later.marked.add(what)
    this.#later.at = Date.now() + AFTER_MS
    this.#nap?.abort()
  }

  /** Wakes at this time, by Date.now(), without anything that is to be looked at. */
  setAlarm(at: number): void {
    if (at >= this.#alarm) return
    this.#alarm = at
    this.#nap?.abort()
  }

  /** Until it rings, the alarm goes off, or the time is over. */
  async wait(ms: number): Promise<'rung' | 'alarm' | 'over'> {
    const until = Date.now() + ms
    for (;;) {
      if (this.#all || this.#marked.size > 0) return 'rung'
      const now = Date.now()
      if (this.#later !== undefined && now >= this.#later.at) {
        this.#all ||= this.#later.all
        for (const backend of this.#later.marked) this.#marked.add(backend)
        this.#later = undefined
        continue
      }
      if (now >= this.#alarm) {
        this.#alarm = Number.POSITIVE_INFINITY
        return 'alarm'
      }
      if (now >= until) return 'over'
      this.#nap = new AbortController()
      const next = Math.min(until, this.#alarm, this.#later?.at ?? until)
      await sleep(Math.max(1, next - now), undefined, { signal: this.#nap.signal }).catch(() => {})
      this.#nap = undefined
    }
  }

  /** What rang until now is heard. */
  hush(): Rung {
    const rung = this.#all ? 'all' : new Set(this.#marked)
    this.#all = false
    this.#marked.clear()
    return rung
  }

  #mark(what: QubeName | 'all'): void {
    if (what === 'all') this.#all = true
    else this.#marked.add(what)
  }
}
