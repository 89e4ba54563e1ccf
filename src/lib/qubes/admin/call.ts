import { DOM0, isQubeName, type QubeName } from '../../model/names.ts'
import type { Site } from '../../site/site.ts'
import { AdminError } from './admin-error.ts'
import { parseAnswer } from './answer.ts'
import { connectUnix } from './connect.ts'

/** The calls that qusb makes; their arguments and answers are in FACTS section 4. */
export type AdminMethod =
  | 'admin.Events'
  | 'admin.vm.List'
  | 'admin.vm.Start'
  | 'admin.vm.Shutdown'
  | 'admin.vm.property.Get'
  | 'admin.vm.feature.Set'
  | 'admin.vm.device.denied.List'
  | `admin.vm.device.${'pci' | 'usb'}.${'Available' | 'Attached' | 'Assigned' | 'List'}`
  | `admin.vm.device.usb.${'Attach' | 'Detach'}`

export interface AdminCall {
  method: AdminMethod
  /** Letters, digits and `+._-`; default none. */
  arg?: string
  /** The qube it is about; default dom0. */
  dest?: QubeName
  /** Printable ASCII; default none. */
  payload?: string
  /** For the whole call, ms; default 3000. */
  timeoutMs?: number
  signal?: AbortSignal
}

/** qubesd takes no more in one request. */
const REQUEST_LIMIT = 64 * 1024
/** The most that is read of an answer. */
const ANSWER_LIMIT = 1024 * 1024
const TIMEOUT_MS = 3000

/**
 * A request as it goes over the socket.
 * @throws Error for one that qubesd would read otherwise than meant: a space in the argument breaks the framing
 */
export function formatRequest(call: Pick<AdminCall, 'method' | 'arg' | 'dest' | 'payload'>): string {
  const { method, arg = '', dest = DOM0, payload = '' } = call
  if (!/^[A-Za-z0-9+._-]{0,512}$/.test(arg)) throw new Error(`not an argument of the Admin API: ${arg}`)
  if (!isQubeName(dest)) throw new Error(`not a qube: ${dest}`)
  if (!/^[\x20-\x7e]*$/.test(payload)) throw new Error('a payload that is not printable')
  const request = `${method}+${arg} dom0 name ${dest}\0${payload}`
  if (request.length > REQUEST_LIMIT) throw new Error('a request that is too long')
  return request
}

/**
 * Makes one call: a connection, the request, half a close, and all that comes until the end.
 * @returns the data of the answer, not validated
 * @throws AdminError; what the signal was aborted with
 */
export async function callAdmin(site: Site, call: AdminCall): Promise<Buffer> {
  const answer = parseAnswer(await exchange(site, call))
  switch (answer.kind) {
    case 'data':
      return answer.data
    case 'exception':
      throw new AdminError(answer.type, `qubesd: ${answer.message}`, { detail: answer.type })
    case 'empty':
      throw new AdminError('empty', `qubesd refused ${call.method}, or does not know it`, {})
    case 'malformed':
      throw new AdminError('malformed', `qubesd answered ${call.method} with what is no answer`, {})
  }
}

function exchange(site: Site, call: AdminCall): Promise<Buffer> {
  const { method, timeoutMs = TIMEOUT_MS, signal } = call
  const request = formatRequest(call)
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason)
    const socket = connectUnix(site.qubesdSocket)
    const chunks: Buffer[] = []
    let bytes = 0
    let connected = false
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      socket.destroy()
      settle()
    }
    const onAbort = (): void => end(() => reject(signal?.reason))
    const timer = setTimeout(
      () =>
        end(() =>
          reject(
            new AdminError('timeout', `qubesd did not answer ${method} within ${timeoutMs / 1000} s`, {}),
          ),
        ),
      timeoutMs,
    )
    signal?.addEventListener('abort', onAbort, { once: true })
    socket.on('connect', () => {
      connected = true
      socket.end(request)
    })
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > ANSWER_LIMIT) {
        end(() => reject(new AdminError('malformed', `qubesd answered ${method} without an end`, {})))
        return
      }
      chunks.push(chunk)
    })
    socket.on('end', () => end(() => resolve(Buffer.concat(chunks))))
    socket.on('error', (cause: NodeJS.ErrnoException) =>
      end(() => {
        // A call that is refused ends in an aborted connection.
        if (connected && bytes === 0 && (cause.code === 'ECONNRESET' || cause.code === 'EPIPE'))
          return resolve(Buffer.alloc(0))
        reject(
          new AdminError('unreachable', `no connection to qubesd: ${cause.message}`, {
            detail: cause.code ?? 'no code',
            cause,
          }),
        )
      }),
    )
  })
}
