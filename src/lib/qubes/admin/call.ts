import type { Site } from '../../site/site.ts'
import { AdminError } from './admin-error.ts'
import { parseAnswer } from './answer.ts'
import { openChannel } from './channel.ts'
import type { AdminCall } from './request.ts'

/** The most that is read of an answer. */
const ANSWER_LIMIT = 1024 * 1024
const TIMEOUT_MS = 3000

/**
 * Makes one call: the request, and all that comes until the end.
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
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason)
    const channel = openChannel(site, call)
    const chunks: Buffer[] = []
    let bytes = 0
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      channel.destroy()
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
    channel.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > ANSWER_LIMIT) {
        end(() => reject(new AdminError('malformed', `qubesd answered ${method} without an end`, {})))
        return
      }
      chunks.push(chunk)
    })
    channel.on('end', () => end(() => resolve(Buffer.concat(chunks))))
    channel.on('error', (cause: NodeJS.ErrnoException) =>
      end(() => {
        if (cause instanceof AdminError) return reject(cause)
        // A call that is refused ends in an aborted connection; a connection that cannot be made has other codes.
        if (bytes === 0 && (cause.code === 'ECONNRESET' || cause.code === 'EPIPE'))
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
