import { createServer, type Server, type Socket } from 'node:net'

/** A guest asks for a service of another qube. */
export interface OutgoingCall {
  readonly target: string
  readonly service: string
  /** The connection: what the target's service says goes there, after `accept`. */
  readonly socket: Socket
  /** Whether a program of the guest has the connection itself, which may end in its kernel. */
  readonly handsOver: boolean
  /** Policy said yes and the target listens: the guest's program starts. */
  accept(): void
  /** Ends the call with 126, as policy does. */
  refuse(): void
}

/** Answers a guest's call; resolves with the exit code for the guest. */
export type AnswerOutgoing = (call: OutgoingCall) => Promise<number>

/** The place where one guest's calls to other qubes arrive. */
export interface Hub {
  /** On 127.0.0.1. */
  readonly port: number
  close(): void
}

/** More in one line is no call. */
const LONGEST_LINE = 512

/**
 * Listens for one guest: each has a hub of its own, so a guest cannot say that it is another. `token` keeps
 * other users of this machine out.
 */
export async function openHub(token: string, answer: AnswerOutgoing): Promise<Hub> {
  const results = new Map<string, Promise<number>>()
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    readLine(socket, (line) => {
      const [word, verb, id = '', target = '', service = ''] = line.split(' ')
      if (word !== token) socket.destroy()
      else if (verb === 'result') {
        const result = results.get(id)
        results.delete(id)
        void (result ?? Promise.resolve(125)).then((code) => socket.end(`${code}\n`))
      } else if (verb === 'call') {
        const result = answer({
          target,
          service,
          socket,
          handsOver: id === '-',
          accept: () => socket.write('go\n'),
          refuse: () => socket.end('refused\n'),
        })
        if (id !== '-') results.set(id, result)
      } else socket.destroy()
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: portOf(server),
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** The port that a listening server was given. */
export function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('this server has no port')
  return address.port
}

/** Takes the first line off a connection and leaves the rest in it. */
function readLine(socket: Socket, got: (line: string) => void): void {
  let held = Buffer.alloc(0)
  const listen = () => {
    for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) {
      held = Buffer.concat([held, chunk])
      const end = held.indexOf(10)
      if (end >= 0) {
        socket.off('readable', listen)
        if (end + 1 < held.length) socket.unshift(held.subarray(end + 1))
        got(held.toString('latin1', 0, end))
        return
      }
      if (held.length > LONGEST_LINE) socket.destroy()
    }
  }
  socket.on('readable', listen)
  socket.on('end', () => {
    if (!held.includes(10)) socket.destroy()
  })
}
