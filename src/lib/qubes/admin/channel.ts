import type { Readable } from 'node:stream'
import { connectUnix } from '../../host/connect-unix.ts'
import type { Site } from '../../site/site.ts'
import { isManagementQube } from '../../site/standpoint.ts'
import { callThroughPolicy } from './call-through-policy.ts'
import { formatRequest, type Request } from './request.ts'

/**
 * Puts a request to qubesd whose answer is a stream: over its socket, half closed behind the request, or from a management
 * qube through qrexec. The answer has one form both ways.
 * @returns what qubesd answers, which may have no end; an error of it is the connection's, or an AdminError. Whoever has
 * read enough destroys it.
 * @throws Error for a request that qubesd would read otherwise than meant
 */
export function openChannel(site: Site, request: Request): Readable {
  const text = formatRequest(request)
  if (isManagementQube(site)) return callThroughPolicy(site, request)
  const socket = connectUnix(site.qubesdSocket)
  socket.end(text)
  return socket
}

/** What all calls read into: a read and the copy of what came are one step, so they never meet in it. */
let shared: Buffer | undefined

/**
 * The same for a call, of which a listing makes many: what comes is handed on without a stream's own queue, and events of
 * its own.
 * @param take gets the bytes as they come, until the channel is destroyed
 * @returns tells `end` and `error`
 */
export function openCall(site: Site, request: Request, take: (chunk: Buffer) => void): Readable {
  const text = formatRequest(request)
  if (isManagementQube(site)) return callThroughPolicy(site, request).on('data', take)
  shared ??= Buffer.allocUnsafeSlow(64 * 1024)
  const socket = connectUnix(site.qubesdSocket, {
    buffer: shared,
    callback: (length, buffer) => {
      if (!socket.destroyed) take(Buffer.from(buffer.subarray(0, length)))
      return true
    },
  })
  // Written when there is a connection: what is written before is queued, at twice the price.
  return socket.once('connect', () => socket.end(text, 'latin1'))
}
