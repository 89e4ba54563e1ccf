import type { Socket } from 'node:net'

/** A device's data link: what QEMU's two networks carry between two kernels passes through the lab here. */
export interface Link {
  readonly frontend: string
  readonly backend: string
  readonly service: string
}

interface Splice extends Link {
  readonly sockets: readonly [frontend: Socket, backend: Socket]
}

/** The links between guests, and the faults that a link can have. */
export interface Links {
  /**
   * Joins two connections until one side closes. `firstWord` gets what the backend says first, up to its
   * line's end, once that has been passed on.
   */
  join(link: Link, frontend: Socket, backend: Socket, firstWord?: (line: string) => void): void
  /** Cuts the links of a backend; returns how many. */
  close(backend: string): number
  /** Nothing passes any more, and nobody is told; also on links made later. */
  stall(backend: string, on: boolean): void
  closeAll(): void
}

export function createLinks(): Links {
  const splices = new Set<Splice>()
  const stalled = new Set<string>()
  const of = (backend: string) => [...splices].filter((splice) => splice.backend === backend)
  const cut = (splice: Splice) => {
    for (const socket of splice.sockets) socket.destroy()
  }

  const setFlow = ({ backend, sockets: [one, other] }: Splice) => {
    if (stalled.has(backend)) {
      one.unpipe(other).pause()
      other.unpipe(one).pause()
    } else {
      one.pipe(other)
      other.pipe(one)
    }
  }

  return {
    join(link, frontend, backend, firstWord) {
      const splice: Splice = { ...link, sockets: [frontend, backend] }
      splices.add(splice)
      for (const socket of splice.sockets) {
        socket.on('error', () => socket.destroy())
        socket.on('close', () => {
          splices.delete(splice)
          // A kernel that lets go closes both ways; its peer must hear of it.
          cut(splice)
        })
      }
      setFlow(splice)
      if (firstWord) listenForLine(backend, firstWord)
    },
    close(backend) {
      const links = of(backend)
      for (const link of links) cut(link)
      return links.length
    },
    stall(backend, on) {
      if (on === stalled.has(backend)) return
      if (on) stalled.add(backend)
      else stalled.delete(backend)
      for (const splice of of(backend)) setFlow(splice)
    },
    closeAll() {
      for (const splice of splices) cut(splice)
    },
  }
}

function listenForLine(socket: Socket, got: (line: string) => void): void {
  let text = ''
  const listen = (chunk: Buffer) => {
    text += chunk.toString('latin1', 0, 200)
    const end = text.indexOf('\n')
    if (end < 0 && text.length < 200) return
    socket.off('data', listen)
    if (end >= 0) got(text.slice(0, end))
  }
  socket.on('data', listen)
}
