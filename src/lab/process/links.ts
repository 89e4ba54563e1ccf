import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** The data link of one qubes.USB call: a real connected pair of unix stream sockets. */
export interface Link {
  readonly id: string
  readonly backend: string
  readonly frontend: string
  /** The process in the frontend that made the call; the link is closed when it goes without an attach. */
  readonly pid: number
  /** The pair, made when the first side hands its end to the kernel. */
  pair: Promise<readonly [backend: Socket, frontend: Socket]> | null
  /** True once the frontend's kernel has its end. */
  imported: boolean
  exported: boolean
}

/** Connects both ends of a link through a socket file at `path`, which is gone again when it resolves. */
async function connectPair(path: string): Promise<readonly [Socket, Socket]> {
  const server = createServer()
  server.listen(path)
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const frontend = connect(path)
  await once(frontend, 'connect')
  const [backend] = await accepted
  server.close()
  // Whoever owns an end handles its end; an error before that must not end the lab.
  for (const socket of [backend, frontend]) socket.on('error', () => socket.destroy())
  return [backend, frontend]
}

/** The links of a lab. */
export class Links {
  readonly #dir: string
  readonly #links = new Map<string, Link>()
  #next = 1

  /** @param dir where socket files appear for a moment; relative paths keep them short */
  constructor(dir: string) {
    this.#dir = dir
  }

  make(source: { frontend: string; backend: string; pid: number }): Link {
    const id = String(this.#next++)
    const made: Link = { id, ...source, pair: null, imported: false, exported: false }
    this.#links.set(id, made)
    return made
  }

  get(id: string): Link | null {
    return this.#links.get(id) ?? null
  }

  all(): readonly Link[] {
    return [...this.#links.values()]
  }

  /** The pair of a link, connected at the first call. */
  connect(link: Link): Promise<readonly [Socket, Socket]> {
    link.pair ??= connectPair(`${this.#dir}/${link.id}`)
    return link.pair
  }

  /**
   * Closes both ends. A link that the frontend has not taken yet stays known, as its socket would: its kernel
   * takes it and finds out then.
   */
  close(link: Link): void {
    if (link.imported) this.#links.delete(link.id)
    link.pair?.then(
      (pair) => {
        for (const socket of pair) socket.destroy()
      },
      () => undefined,
    )
  }

  /** The process that made the call is gone: an end that no kernel has is closed with it. */
  callerEnded(link: Link): void {
    if (link.imported) return
    this.close(link)
    this.#links.delete(link.id)
  }
}
