import { randomBytes } from 'node:crypto'
import { createConnection, type Socket } from 'node:net'
import { PassThrough, type Readable } from 'node:stream'

/** Where a guest listens, and the word that its agent wants to hear first. */
export interface GuestAddress {
  readonly port: number
  readonly token: string
}

/** What is to run in a guest: a qrexec service for somebody, or a shell command. */
export type GuestRequest =
  | { readonly service: string; readonly source: string; readonly user: string }
  | { readonly command: string; readonly user: string }

/** A call that has reached the guest. */
export interface GuestCall {
  /** The service's stdin and stdout, which it may hand to its kernel. */
  readonly data: Socket
  readonly stderr: Readable
  /** The exit code; null when the guest or its agent went away first. Never rejects. */
  readonly exit: Promise<number | null>
}

/** The guest's agent did not answer in time, or not at all. */
export class AgentSilent extends Error {
  /** Whether the connection was refused or cut, rather than left without an answer. */
  readonly refused: boolean
  constructor(refused: boolean) {
    super(refused ? 'the agent does not listen' : 'the agent does not answer')
    this.name = 'AgentSilent'
    this.refused = refused
  }
}

const HOST = '127.0.0.1'

/**
 * Starts a service or command in a guest. Two connections: QEMU's network accepts for a guest that is not
 * there, so the control's answer is what proves the agent.
 * `limit` in milliseconds is for the connecting only. Throws AgentSilent.
 */
export async function callGuest(
  { port, token }: GuestAddress,
  request: GuestRequest,
  limit: number,
): Promise<GuestCall> {
  const id = randomBytes(12).toString('hex')
  let pid = ''
  const control = await converse(port, `${token} control ${id}\n`, limit, (text) => {
    pid = text.trim().split(' ')[1] ?? ''
  })
  const { exit, stderr } = readControl(control, id)
  const data = createConnection({ host: HOST, port, allowHalfOpen: true, noDelay: true })
  data.on('error', () => data.destroy())
  const what =
    'service' in request
      ? `service ${id} ${pid} ${request.user} ${request.service} ${request.source}`
      : `command ${id} ${pid} ${request.user} ${quoteForAgent(request.command)}`
  data.write(`${token} ${what}\n`)
  return { data, stderr, exit }
}

/** A text as the agent's shell reads it from one line without a process of its own: `$'…'`. */
export function quoteForAgent(text: string): string {
  const escaped = text.replace(
    /[\\'\x00-\x1f\x7f]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
  )
  return `$'${escaped}'`
}

/** One question to a guest's agent or door and its one-line answer. Throws AgentSilent. */
export async function askGuest(
  { port, token }: GuestAddress,
  question: string,
  limit: number,
): Promise<string> {
  let answer = ''
  const socket = await converse(port, `${token} ${question}\n`, limit, (text) => {
    answer = text
  })
  socket.destroy()
  return answer.trim()
}

/** Connects, says a line and waits for the line that is the answer. */
function converse(port: number, line: string, limit: number, got: (text: string) => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: HOST, port, allowHalfOpen: true, noDelay: true })
    const timer = limit > 0 ? setTimeout(() => fail(false), limit) : undefined
    let text = ''
    const fail = (refused: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      reject(new AgentSilent(refused))
    }
    const listen = (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (!text.endsWith('\n')) return
      clearTimeout(timer)
      socket.off('data', listen)
      socket.pause()
      got(text)
      resolve(socket)
    }
    socket.on('data', listen)
    socket.on('error', () => fail(true))
    socket.on('end', () => fail(true))
    socket.write(line)
  })
}

/** Parts the service's stderr from the agent's last line, `\nID CODE\n`, which stands behind it. */
function readControl(control: Socket, id: string): Pick<GuestCall, 'exit' | 'stderr'> {
  const stderr = new PassThrough()
  const mark = `\n${id} `
  let held = ''
  const exit = new Promise<number | null>((resolve) => {
    const finish = (code: number | null) => {
      stderr.end()
      control.destroy()
      resolve(code)
    }
    control.on('data', (chunk: Buffer) => {
      held += chunk.toString('latin1')
      const at = held.indexOf(mark)
      if (at >= 0) {
        const end = held.indexOf('\n', at + 1)
        if (end < 0) return
        stderr.write(Buffer.from(held.slice(0, at), 'latin1'))
        finish(Number(held.slice(at + mark.length, end)))
        return
      }
      // The mark may have come in part.
      const safe = Math.max(0, held.length - mark.length)
      if (safe > 0) stderr.write(Buffer.from(held.slice(0, safe), 'latin1'))
      held = held.slice(safe)
    })
    control.on('error', () => finish(null))
    control.on('close', () => finish(null))
  })
  control.resume()
  return { exit, stderr }
}
