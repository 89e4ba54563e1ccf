import { rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AssignmentDefinition } from '../file/schema.ts'
import { answer, type Belief, type Request } from './answer.ts'
import { compare, formatEvent, type LabEvent, takeSnapshot } from './events.ts'
import { type Garbling, garbled } from './garble.ts'
import { type Generation, QubesdException, type World } from './world.ts'

/** How often it looks for something to tell, while anybody listens; milliseconds. */
const LOOK_MS = 150
/** How long it believes in an attach that failed, milliseconds. */
const STALE_MS = 1000
const REQUEST_LIMIT = 64 * 1024

/** The lab's qubesd: one request a connection, answered from the lab's state, and the stream of events. */
export class Qubesd {
  readonly #world: World
  readonly #path: string
  readonly generation: Generation
  readonly #assignments: readonly AssignmentDefinition[]
  readonly #sockets = new Set<Socket>()
  /** Each with the name of the qube that listens. */
  readonly #listeners = new Map<Socket, string>()
  #stale: Belief['stale'] = []
  #server: Server | null = null
  #closed = false
  #seen: Awaited<ReturnType<typeof takeSnapshot>> | null = null
  #looking = false
  #timer: NodeJS.Timeout | null = null
  #slowMs = 0
  #silent = false
  #lying = false
  #garbling: Garbling | null = null

  /** @param path short enough for a socket's address: relative to the lab's directory, where its process stands */
  constructor(
    world: World,
    path: string,
    generation: Generation,
    assignments: readonly AssignmentDefinition[],
  ) {
    this.#world = world
    this.#path = path
    this.generation = generation
    this.#assignments = assignments
  }

  async listen(): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#receive(socket))
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('listening', resolve).once('error', reject)
      server.listen(this.#path)
    })
  }

  close(): void {
    this.#closed = true
    this.#stop()
  }

  slow(seconds: number): void {
    this.#slowMs = seconds * 1000
  }

  silence(on: boolean): void {
    this.#silent = on
  }

  lie(on: boolean): void {
    this.#lying = on
  }

  /** Spoils what it answers from now on; null: no more. */
  garble(garbling: Garbling | null): void {
    this.#garbling = garbling
  }

  /** Ends, and begins again after a while; who calls meanwhile finds nobody. */
  restart(seconds: number): void {
    this.#stop()
    rmSync(this.#path, { force: true })
    setTimeout(() => {
      if (!this.#closed) this.listen().catch((error: Error) => this.#world.log(`qubesd: ${error.message}`))
    }, seconds * 1000)
  }

  #stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    this.#server?.close()
    this.#server = null
    for (const socket of this.#sockets) socket.destroy()
    this.#listeners.clear()
  }

  #receive(socket: Socket): void {
    this.#sockets.add(socket)
    let text = ''
    socket.setEncoding('utf8')
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#sockets.delete(socket)
      this.#listeners.delete(socket)
    })
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.length > REQUEST_LIMIT) socket.destroy()
    })
    socket.on('end', () => {
      this.#respond(socket, text).catch((error: Error) => {
        this.#world.log(`qubesd: ${error.stack}`)
        socket.destroy()
      })
    })
  }

  async #respond(socket: Socket, text: string): Promise<void> {
    const request = readRequest(text)
    if (request === null) return void socket.end()
    this.#world.log(`qubesd: ${request.method} ${request.dest}`)
    if (this.#slowMs > 0) await sleep(this.#slowMs)
    // Whoever waits is let go when it ends, or when he gives up.
    if (this.#silent) return
    if (request.method === 'admin.Events') return await this.#listen(socket, request.source)
    const say = (text: string): void => void socket.end(garbled(text, request.method, this.#garbling))
    try {
      say(`0\0${await answer(this.#world, this.#belief(), request)}`)
    } catch (error) {
      const known =
        error instanceof QubesdException ? error : new QubesdException('ProtocolError', String(error))
      this.#world.log(`qubesd: ${request.method}+${request.arg} ${request.dest}: ${known.message}`)
      if (known.type === 'QubesUSBException') this.#believe(request)
      if (known.type === 'ProtocolError') socket.end()
      else say(`2\0${known.type}\0\0${known.message}\0`)
    }
    await this.#look()
  }

  #belief(): Belief {
    return {
      generation: this.generation,
      assignments: this.#assignments,
      stale: this.#stale,
      lying: this.#lying,
    }
  }

  /** After an attach that failed it believes for a while that it did not, and then tells of a detach. */
  #believe({ arg, dest }: Request): void {
    const [backend = '', port = ''] = arg.split('+')
    const stale = { frontend: dest, backend, port }
    this.#stale = [...this.#stale, stale]
    setTimeout(() => {
      this.#stale = this.#stale.filter((each) => each !== stale)
      this.#tell({ subject: dest, name: 'device-detach:usb', values: { port: `${backend}:${port}` } })
    }, STALE_MS).unref()
  }

  async #listen(socket: Socket, source: string): Promise<void> {
    // What happened before anybody listened is not told.
    if (this.#listeners.size === 0) this.#seen = await takeSnapshot(this.#world)
    this.#listeners.set(socket, source)
    socket.write(formatEvent({ subject: '', name: 'connection-established', values: {} }))
    this.#timer ??= setInterval(() => void this.#look(), LOOK_MS)
  }

  async #look(): Promise<void> {
    if (this.#looking || this.#seen === null) return
    if (this.#listeners.size === 0) {
      if (this.#timer !== null) clearInterval(this.#timer)
      this.#timer = null
      this.#seen = null
      return
    }
    this.#looking = true
    try {
      const before = this.#seen
      const after = await takeSnapshot(this.#world)
      this.#seen = after
      for (const event of compare(before, after)) this.#tell(event)
    } catch (error) {
      this.#world.log(`qubesd: ${(error as Error).stack}`)
    } finally {
      this.#looking = false
    }
  }

  #tell(event: LabEvent): void {
    if (this.#silent) return
    const text = formatEvent(event)
    for (const [socket, source] of this.#listeners) {
      // Of what happens to a qube that hears only who may hear of it (core-admin, qubes/ext/admin.py).
      if (this.#world.permits(source, event.subject, 'admin.Events')) socket.write(text)
    }
  }
}

/** `METHOD+ARG SOURCE name DEST\0PAYLOAD`; null where it is framed in another way. */
function readRequest(text: string): Request | null {
  const match = /^([^+ \0]+)(?:\+([^ \0]*))? ([^ \0]+) (name|keyword) ([^\0]+)\0(.*)$/s.exec(text)
  if (match === null) return null
  const [, method = '', arg = '', source = '', kind, dest = '', payload = ''] = match
  if (kind === 'keyword' && dest !== 'adminvm') return null
  return { source, method, arg, dest: kind === 'keyword' ? 'dom0' : dest, payload }
}
