import type { Readable, Writable } from 'node:stream'

/** QEMU refused a command, or its monitor is gone. */
export class QmpError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'QmpError'
  }
}

/** An event of QEMU's, such as DEVICE_DELETED with `{ device: 'ID', … }`. */
export interface QmpEvent {
  readonly event: string
  readonly data: Readonly<Record<string, unknown>>
}

/** QEMU's monitor (its document interop/qmp-spec): one JSON document a line, both ways. */
export interface Qmp {
  /** Runs a command and returns what it returns. Rejects with QmpError. */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>
  /** The next event that matches, or QmpError after `limit` milliseconds. Ask before the cause. */
  waitFor(matches: (event: QmpEvent) => boolean, limit: number): Promise<QmpEvent>
}

interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** Greets the monitor on QEMU's own stdin and stdout; usable when it resolves. */
export async function openQmp(input: Writable, output: Readable): Promise<Qmp> {
  const pending = new Map<number, Pending>()
  const watchers = new Set<(event: QmpEvent) => void>()
  let closed = false
  let last = 0
  const receive = (line: string) => {
    const message = JSON.parse(line) as Record<string, unknown>
    if (typeof message.event === 'string') {
      const event = { event: message.event, data: (message.data ?? {}) as Record<string, unknown> }
      for (const watcher of [...watchers]) watcher(event)
      return
    }
    const waiting = pending.get(Number(message.id))
    if (!waiting) return
    pending.delete(Number(message.id))
    const error = message.error as { desc?: string } | undefined
    if (error) waiting.reject(new QmpError(error.desc ?? 'refused'))
    else waiting.resolve(message.return)
  }
  let rest = ''
  output.setEncoding('utf8')
  output.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim()) receive(line)
  })
  output.on('close', () => {
    closed = true
    for (const waiting of pending.values()) waiting.reject(new QmpError('QEMU has ended'))
    pending.clear()
  })
  input.on('error', () => {})

  const execute: Qmp['execute'] = (command, args = {}) =>
    new Promise((resolve, reject) => {
      if (closed) return reject(new QmpError('QEMU has ended'))
      const id = ++last
      pending.set(id, { resolve, reject })
      input.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`)
    })
  const waitFor: Qmp['waitFor'] = (matches, limit) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        watchers.delete(watcher)
        reject(new QmpError(`QEMU did not report within ${limit} ms`))
      }, limit)
      const watcher = (event: QmpEvent) => {
        if (!matches(event)) return
        clearTimeout(timer)
        watchers.delete(watcher)
        resolve(event)
      }
      watchers.add(watcher)
    })
  await execute('qmp_capabilities')
  return { execute, waitFor }
}
