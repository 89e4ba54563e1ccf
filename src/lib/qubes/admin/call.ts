import type { Site } from '../../site/site.ts'
import { AdminError } from './admin-error.ts'
import { parseAnswer } from './answer.ts'
import { openCall } from './channel.ts'
import { type Ending, Limit } from './limit.ts'
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
  const answer = parseAnswer(await exchangeWithin(site, call))
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

async function exchangeWithin(site: Site, call: AdminCall): Promise<Buffer> {
  if (call.limit !== undefined) return await exchange(site, call, call.limit)
  const limit = new Limit(call.timeoutMs ?? TIMEOUT_MS, call.signal)
  try {
    return await exchange(site, call, limit)
  } finally {
    limit.close()
  }
}

function exchange(site: Site, call: AdminCall, limit: Limit): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (limit.ended !== undefined) return reject(endingError(call, limit, limit.ended))
    const chunks: Buffer[] = []
    let bytes = 0
    const channel = openCall(site, call, (chunk) => {
      bytes += chunk.length
      if (bytes <= ANSWER_LIMIT) chunks.push(chunk)
      else end(() => reject(new AdminError('malformed', `qubesd answered ${call.method} without an end`, {})))
    })
    const end = (settle: () => void): void => {
      limit.leave(stop)
      channel.destroy()
      settle()
    }
    const stop = (why: Ending): void => end(() => reject(endingError(call, limit, why)))
    limit.enter(stop)
    channel.on('end', () =>
      end(() => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks))),
    )
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

function endingError({ method }: AdminCall, limit: Limit, why: Ending): unknown {
  if (why === 'signal') return limit.reason
  const waited = why === 'time' ? ` within ${limit.ms / 1000} s` : ': nobody waits for it any more'
  return new AdminError('timeout', `qubesd did not answer ${method}${waited}`, {})
}
