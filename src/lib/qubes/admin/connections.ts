/** qubesd does one thing at a time: more connections than a few only wait there. */
const MOST = 8

/** Keeps the connections to qubesd few: a call waits until one of them is free. */
export class Connections {
  #free = MOST
  readonly #waiting: (() => void)[] = []

  /** Does what needs a connection, in its turn. @returns what that returns, or its error */
  async whenFree<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resume) => this.#waiting.push(resume))
    else this.#free--
    try {
      return await work()
    } finally {
      // Handed on without being free in between: who waits goes first.
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }
}
