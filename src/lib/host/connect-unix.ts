import { closeSync, openSync } from 'node:fs'
import { connect, type OnReadOpts, type Socket } from 'node:net'
import { basename, dirname } from 'node:path'

/** The longest path that the address of a unix socket holds, without the final NUL (unix(7)). */
const PATH_LIMIT = 107

/**
 * Connects to a unix socket; one with a longer path is reached through its directory's descriptor.
 * @param onread takes what comes in place of the stream
 */
export function connectUnix(path: string, onread?: OnReadOpts): Socket {
  const options = { allowHalfOpen: true, ...(onread === undefined ? {} : { onread }) }
  if (Buffer.byteLength(path) <= PATH_LIMIT) return connect({ path, ...options })
  const dir = openSync(dirname(path), 'r')
  const socket = connect({ path: `/proc/self/fd/${dir}/${basename(path)}`, ...options })
  const close = (): void => {
    socket.off('connect', close).off('error', close)
    closeSync(dir)
  }
  return socket.once('connect', close).once('error', close)
}
