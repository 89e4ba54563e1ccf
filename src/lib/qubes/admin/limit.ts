/** What ends a call before its answer: the time is over, the caller's signal, or nobody waits for it any more. */
export type Ending = 'time' | 'signal' | 'closed'

/**
 * How long calls of qubesd may take, all that are made within it together: one timer and one listener, however many they
 * are. Whoever made it closes it.
 */
export class Limit {
  /** The whole time, ms. */
  readonly ms: number
  readonly #signal: AbortSignal | undefined
  readonly #timer: NodeJS.Timeout
  readonly #open = new Set<(why: Ending) => void>()
  #ended: Ending | undefined

  constructor(ms: number, signal?: AbortSignal) {
    this.ms = ms
    this.#signal = signal
    this.#timer = setTimeout(() => this.#end('time'), ms)
    if (signal?.aborted === true) this.#end('signal')
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** What has ended it; undefined while it lasts. */
  get ended(): Ending | undefined {
    return this.#ended
  }

  /** What its signal was aborted with. */
  get reason(): unknown {
    return this.#signal?.reason
  }

  /** Begins a call. @param stop called at most once, and never after `leave` */
  enter(stop: (why: Ending) => void): void {
    this.#open.add(stop)
  }

  leave(stop: (why: Ending) => void): void {
    this.#open.delete(stop)
  }

  /** Ends what is still open. */
  close(): void {
    this.#end('closed')
  }

  readonly #onAbort = (): void => this.#end('signal')

  #end(why: Ending): void {
    if (this.#ended !== undefined) return
    this.#ended = why
    clearTimeout(this.#timer)
    this.#signal?.removeEventListener('abort', this.#onAbort)
    for (const stop of [...this.#open]) stop(why)
    this.#open.clear()
  }
}
