import type { Readable } from 'node:stream'
import type { Site } from '../../site/site.ts'
import { isManagementQube } from '../../site/standpoint.ts'
import { callThroughPolicy } from './call-through-policy.ts'
import { connectUnix } from './connect.ts'
import { formatRequest, type Request } from './request.ts'

/**
 * Puts a request to qubesd: over its socket, half closed behind the request, or from a management qube through qrexec.
 * The answer has one form both ways.
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
