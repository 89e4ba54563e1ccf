import { closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { PassThrough, type Writable } from 'node:stream'
import type { Call } from '../engine.ts'
import { type Closable, Reply, readFifoLines } from '../fifo.ts'

/**
 * Answers calls at a door in this process: the Node side of what guest/agent.sh does for a qube of the process
 * engine. Streams end when the caller is dead.
 * @param door the FIFO
 * @param answer resolves with the call's exit code; a rejection is 125
 */
export function answerCalls(
  door: string,
  answer: (call: Call) => Promise<number>,
  log: (line: string) => void,
): Closable {
  return readFifoLines(door, (line) => {
    const [call = '', user = '', kind = '', source = '', , what = '', target = 'dom0'] = line.split(' ')
    void answerOne(call, { user, kind, source, what, target }, answer).catch((error: Error) =>
      log(`call ${what}: ${error.message}`),
    )
  })
}

interface Head {
  readonly user: string
  readonly kind: string
  readonly source: string
  readonly what: string
  readonly target: string
}

async function answerOne(path: string, head: Head, answer: (call: Call) => Promise<number>): Promise<void> {
  // Every FIFO both ways first, so that no open waits and none is lost when the client dies meanwhile.
  const held: number[] = []
  const hold = (name: string, flags: number) => {
    const fd = openSync(`${path}.${name}`, flags | constants.O_NONBLOCK)
    held.push(fd)
    return fd
  }
  let streams: { stdin: Socket; stdout: Socket; stderr: Socket | PassThrough }
  let exit: Reply
  let command: string | null
  try {
    // A call between qubes has no stderr for its caller.
    const tellsErrors = existsSync(`${path}.e`)
    for (const name of tellsErrors ? ['i', 'o', 'e'] : ['i', 'o']) hold(name, constants.O_RDWR)
    command = head.kind === 'command' ? readFileSync(`${path}.r`, 'utf8').replace(/\n$/, '') : null
    exit = new Reply(`${path}.x`)
    const open = (name: string, flags: number) => openSync(`${path}.${name}`, flags | constants.O_NONBLOCK)
    streams = {
      stdin: new Socket({ fd: open('i', constants.O_RDONLY), readable: true, writable: false }),
      stdout: new Socket({ fd: open('o', constants.O_WRONLY), readable: false, writable: true }),
      stderr: tellsErrors
        ? new Socket({ fd: open('e', constants.O_WRONLY), readable: false, writable: true })
        : new PassThrough().resume(),
    }
    new Reply(`${path}.x`).send('connected')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  } finally {
    for (const fd of held) closeSync(fd)
  }
  for (const stream of Object.values(streams)) stream.on('error', () => stream.destroy())
  const service = command === null ? head.what : null
  const code = await answer({
    user: head.user,
    service,
    command,
    source: head.source,
    target: head.target,
    ...streams,
  }).catch(() => 125)
  streams.stdin.destroy()
  await Promise.all([finish(streams.stdout), finish(streams.stderr)])
  exit.send(String(code))
}

/** Ends a stream and waits until what was written is out or cannot be. */
function finish(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) return resolve()
    stream.once('close', () => resolve())
    stream.end(() => stream.destroy())
  })
}
