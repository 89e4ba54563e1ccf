import { chmodSync, closeSync, existsSync, openSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { QusbError } from '../errors.ts'
import { parseQubeName, type QubeName } from '../model/names.ts'
import type { Site } from '../site/site.ts'
import { SET_UP } from '../site/standpoint.ts'
import { connectUnix } from './connect-unix.ts'

/** The longest descriptor that is read, bytes: a service, an argument and names are shorter. */
const LINE_LIMIT = 1024
/** How long a caller may take to say who it is, ms. */
const SAY_MS = 2000
/** Callers that are listened to at once. */
const CALLERS = 32
const SERVICE = 'qusb.Plugged'

/** The socket that stands behind the service qusb.Plugged. */
export function hintSocketOf(site: Site): string {
  return join(site.runDir, 'plugged.sock')
}

/** Who called, by qrexec's own word; undefined for what is no call of the service. */
export function readDescriptor(line: string): QubeName | undefined {
  const [service = '', source = ''] = line.split(' ')
  return service.split('+')[0] === SERVICE ? parseQubeName(source) : undefined
}

/**
 * Takes the calls of qusb.Plugged. qrexec connects for each, and says in a line that ends in NUL which service is called
 * and by whom (qubes-core-qrexec, "send service descriptor"); what the caller itself sends is not read, and nothing is
 * answered. To be called with the watcher's lock held: a socket that is there is a dead watcher's.
 * @param onHint told of the qube that calls; null where too many do so to be read
 * @returns what ends it
 * @throws QusbError REFUSED where the socket cannot be made
 */
export async function listenForHints(
  site: Site,
  onHint: (source: QubeName | null) => void,
): Promise<{ close(): void }> {
  const path = hintSocketOf(site)
  const callers = new Set<Socket>()
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    // Whoever is turned away may have been any of them.
    if (callers.size >= CALLERS) {
      socket.destroy()
      return onHint(null)
    }
    callers.add(socket)
    socket.on('close', () => callers.delete(socket))
    takeHint(socket, onHint)
  })
  // Through the directory's descriptor: the address of a socket is short.
  const directory = openSync(dirname(path), 'r')
  try {
    rmSync(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      server.once('listening', resolve).once('error', reject)
      server.listen(`/proc/self/fd/${directory}/${basename(path)}`)
    })
    // The directory hands its group on; dom0's services run as a member of it.
    chmodSync(path, 0o660)
  } catch (cause) {
    closeSync(directory)
    throw new QusbError('REFUSED', `cannot listen at ${path}: ${(cause as Error).message}`, {
      hint: `To make its directory, run ${SET_UP}.`,
      cause,
    })
  }
  return {
    close: () => {
      for (const socket of callers) socket.destroy()
      server.close(() => closeSync(directory))
    },
  }
}

/** Whether a watcher takes hints: it is connected to, and told nothing. */
export async function isWatcherThere(site: Site): Promise<boolean> {
  if (!existsSync(hintSocketOf(site))) return false
  const socket = connectUnix(hintSocketOf(site))
  try {
    return await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.setTimeout(SAY_MS, () => resolve(false))
    })
  } finally {
    socket.destroy()
  }
}

function takeHint(socket: Socket, onHint: (source: QubeName | null) => void): void {
  let said = ''
  socket.setEncoding('latin1')
  socket.setTimeout(SAY_MS, () => socket.destroy())
  socket.on('data', (chunk: string) => {
    said += chunk.slice(0, LINE_LIMIT)
    const end = said.search(/[\0\n]/)
    if (end < 0 && said.length < LINE_LIMIT) return
    // What follows is the caller's, and none of ours.
    socket.removeAllListeners('data')
    socket.destroy()
    const source = end < 0 ? undefined : readDescriptor(said.slice(0, end))
    if (source !== undefined) onHint(source)
  })
}
