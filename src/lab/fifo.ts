import { closeSync, constants, openSync, renameSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { execa } from 'execa'

/** Makes FIFOs with mode 0600. */
export async function makeFifos(paths: readonly string[]): Promise<void> {
  if (paths.length > 0) await execa('mkfifo', ['-m', '600', '--', ...paths])
}

export interface Closable {
  close(): void
}

/**
 * Opens a FIFO both ways, so that it neither blocks nor ends when its writers are gone, and hands on each line.
 * @param limit a longer line is dropped; writes up to 4096 bytes arrive whole
 */
export function readFifoLines(path: string, onLine: (line: string) => void, limit = 65_536): Closable {
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  const socket = new Socket({ fd, readable: true, writable: false })
  let rest = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > limit) rest = ''
    for (const line of lines) onLine(line)
  })
  socket.on('error', () => socket.destroy())
  return { close: () => socket.destroy() }
}

/**
 * FIFOs made ahead, so that a file of sysfs can appear at once and without a process.
 * One `mkfifo` makes a batch.
 */
export class FifoPool {
  readonly #dir: string
  #ready: string[] = []
  #made = 0
  #refill: Promise<void> | null = null

  constructor(dir: string) {
    this.#dir = dir
  }

  /** Has at least `count` ready when it resolves. */
  async fill(count: number): Promise<void> {
    while (this.#ready.length < count) {
      this.#refill ??= this.#make(Math.max(64, count - this.#ready.length)).finally(() => {
        this.#refill = null
      })
      await this.#refill
    }
  }

  /** Puts a FIFO at `path` and reads lines from it. */
  async listen(path: string, onLine: (line: string) => void): Promise<Closable> {
    await this.fill(1)
    const fifo = this.#ready.pop()
    if (fifo === undefined) return this.listen(path, onLine)
    renameSync(fifo, path)
    return readFifoLines(path, onLine)
  }

  async #make(count: number): Promise<void> {
    const first = this.#made
    this.#made += count
    const paths = Array.from({ length: count }, (_, index) => join(this.#dir, String(first + index)))
    await makeFifos(paths)
    this.#ready.push(...paths)
  }
}

/** Holds a reply FIFO open from the question to the answer, so that nobody's removal of its name loses it. */
export class Reply {
  #fd: number | null

  constructor(path: string) {
    let fd: number | null = null
    try {
      fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    } catch {
      // Whoever asked is gone, and so is the wish for an answer.
    }
    this.#fd = fd
  }

  /** Writes one line; the first time only. */
  send(line: string): void {
    if (this.#fd === null) return
    try {
      writeSync(this.#fd, `${line}\n`)
    } catch {
      // A FIFO that is full has a reader that does not read.
    }
    closeSync(this.#fd)
    this.#fd = null
  }
}
