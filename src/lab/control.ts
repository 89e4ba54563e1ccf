import { closeSync, openSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import * as z from 'zod/mini'
import { errorToJson, QusbError } from '../lib/errors.ts'
import { LabError } from './errors.ts'
import { FAULTS, type FaultName } from './faults.ts'
import { deviceSchema } from './file/schema.ts'
import { SOCKET_PATH_LIMIT } from './layout.ts'

const faultName = z.enum(Object.keys(FAULTS) as [FaultName, ...FaultName[]])

/** What the lab's commands ask of its process: one JSON line each way. */
export const requestSchema = z.discriminatedUnion('verb', [
  z.strictObject({ verb: z.literal('status') }),
  z.strictObject({ verb: z.literal('plug'), device: deviceSchema }),
  z.strictObject({ verb: z.literal('unplug'), backend: z.string(), port: z.string() }),
  z.strictObject({
    verb: z.literal('fault'),
    fault: z.strictObject({
      name: faultName,
      qube: z.nullable(z.string()),
      value: z.nullable(z.string()),
      on: z.boolean(),
    }),
  }),
  z.strictObject({
    verb: z.literal('exec'),
    qube: z.string(),
    argv: z.array(z.string()).check(z.minLength(1)),
  }),
  z.strictObject({ verb: z.literal('down') }),
])
export type Request = z.infer<typeof requestSchema>

const answerSchema = z.union([
  z.strictObject({ result: z.unknown() }),
  z.strictObject({ error: z.string(), hint: z.nullable(z.string()) }),
])

/**
 * Listens on the lab's control socket. The process stands in the lab's directory, so the path is short.
 * @param answer what to say to a request; a rejection is told to whoever asked
 */
export function listenForRequests(name: string, answer: (request: Request) => Promise<unknown>): Server {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      text += chunk
      const end = text.indexOf('\n')
      if (end < 0) return
      const line = text.slice(0, end)
      text = ''
      void reply(line, answer).then((said) => socket.end(`${JSON.stringify(said)}\n`))
    })
  })
  server.listen(name)
  return server
}

async function reply(line: string, answer: (request: Request) => Promise<unknown>): Promise<unknown> {
  try {
    return { result: (await answer(requestSchema.parse(JSON.parse(line)))) ?? null }
  } catch (error) {
    const { message, hint } = errorToJson(error)
    return { error: message, hint: error instanceof QusbError ? hint : null }
  }
}

/**
 * Asks a lab.
 * @param socket the path of its control socket
 * @returns the result, to be checked by whoever asked
 * @throws LabError with the lab's words; an Error with code ENOENT or ECONNREFUSED when it does not run
 */
export async function askLab(socket: string, request: Request): Promise<unknown> {
  const answer = answerSchema.parse(JSON.parse(await exchange(socket, `${JSON.stringify(request)}\n`)))
  if ('error' in answer) throw new LabError(answer.error, answer.hint ?? undefined)
  return answer.result
}

/** Sends a line and reads all that comes. A path too long for a socket is reached through its directory's descriptor. */
function exchange(path: string, line: string): Promise<string> {
  const dir = path.length > SOCKET_PATH_LIMIT ? openSync(dirname(path), 'r') : null
  const short = dir === null ? path : join(`/proc/self/fd/${dir}`, path.slice(dirname(path).length + 1))
  return new Promise<string>((resolve, reject) => {
    const socket: Socket = connect(short)
    let text = ''
    socket.setEncoding('utf8')
    socket.on('connect', () => socket.write(line))
    socket.on('data', (chunk: string) => {
      text += chunk
    })
    socket.on('end', () => {
      socket.end()
      if (text.endsWith('\n')) resolve(text)
      else reject(new LabError('The lab ended before it answered.'))
    })
    socket.on('error', reject)
  }).finally(() => {
    if (dir !== null) closeSync(dir)
  })
}
