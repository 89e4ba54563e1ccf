import { existsSync, lstatSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { connectUnix } from '../../lib/host/connect-unix.ts'
import type { Layout } from '../layout.ts'

/** A call of a qube that policy lets through to dom0. */
export interface Dom0Call {
  /** With its argument, `qusb.Plugged+x`. */
  readonly service: string
  readonly source: string
  /** The qube that the caller named, which policy turned into dom0. */
  readonly target: string
  readonly stdin: Readable
  readonly stdout: Writable
}

const MISSING = 127
const NO_CONNECTION = 125

/**
 * Calls a service of the lab's dom0: a link in etc/qubes-rpc to a unix socket that somebody listens at, as in a real one
 * for `policy.Ask` and `admin.vm.List`. The socket gets a descriptor first, ended by NUL, then what the caller says.
 * @returns the exit code for the caller
 */
export async function callDom0(layout: Layout, call: Dom0Call): Promise<number> {
  const { service, source, target, stdin, stdout } = call
  if (!/^[A-Za-z0-9+._-]{1,255}$/.test(service)) return MISSING
  const names = [service, service.split('+')[0] ?? '']
  const file = names.map((name) => join(layout.rpcDir, name)).find((path) => isLink(path))
  if (file === undefined) return MISSING
  if (!existsSync(file) || !statSync(file).isSocket()) return NO_CONNECTION
  const socket = connectUnix(file)
  return await new Promise((resolve) => {
    socket.once('connect', () => {
      const descriptor = service.includes('+') ? service : `${service}+`
      socket.write(`${descriptor} ${source} ${addressee(target)}\0`)
      stdin.pipe(socket)
      socket.pipe(stdout, { end: false })
    })
    // A caller that is gone takes no more: a stream of events would have no end.
    stdout.once('close', () => socket.destroy())
    // Whoever listens may hang up on what the caller says.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'ECONNREFUSED' ? NO_CONNECTION : 0),
    )
    socket.once('close', () => {
      stdin.unpipe(socket)
      resolve(0)
    })
    socket.once('end', () => socket.destroy())
  })
}

/** How the descriptor says it; a qube may have sent anything. */
const addressee = (target: string): string =>
  target !== 'dom0' && /^[A-Za-z][A-Za-z0-9_.-]{0,30}$/.test(target) ? `name ${target}` : 'keyword adminvm'

const isLink = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
