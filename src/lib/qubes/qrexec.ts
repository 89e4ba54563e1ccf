import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { execa } from 'execa'
import type { ErrorCode } from '../errors.ts'
import { parseQubeName, type QubeName } from '../model/names.ts'
import { cleanStderr } from '../model/text.ts'
import type { Site } from '../site/site.ts'
import { isManagementQube } from '../site/standpoint.ts'
import { CLIENT_OPTIONS } from './client.ts'

/** One call of a service in a qube. */
export interface QrexecCall {
  /** The qube, or its stub domain `NAME-dm`. */
  target: QubeName | `${QubeName}-dm`
  /** `DEFAULT` is the qube's ordinary user. */
  user: 'DEFAULT' | 'root'
  service: 'qubes.VMShell' | 'qubes.USBAttach' | 'qubes.USBDetach'
  /** What the service reads; must end in a newline. */
  stdin: string
  /** How long the whole call may take, ms. */
  timeoutMs: number
  /** The most that is read from stdout, bytes; a call that says more is ended. */
  stdoutLimit: number
  signal?: AbortSignal
}

/** How a call ended. `stdout` is hostile until parsed; `stderr` is clean, for people, and never to be parsed. */
export interface QrexecResult {
  end: 'exit' | 'timeout' | 'overflow' | 'aborted' | 'no-client'
  /** The service's code; 125 and 127 may be qrexec's own (docs/facts.md#exit-codes). */
  exitCode: number | null
  stdout: Buffer
  stderr: string | undefined
  /** What a call that went by qubesd came to there. */
  failure?: ErrorCode
}

/** What a shell of root's is called between qubes, where policy chooses the user. */
export const ROOT_SHELL = 'qubes.VMRootShell'

/** How long the streams of a client that has ended may stay open, ms: what it wrote may still have to be read. */
const EXIT_GRACE_MS = 3000

/** The most that is read of a qube's stderr. */
const STDERR_LIMIT = 8 * 1024

/**
 * Calls a service by qrexec-client, or from a management qube by qrexec-client-vm. Never throws for what a qube does.
 *
 * A limit ends with SIGKILL and destroyed streams: a client deaf to SIGTERM, or a grandchild that keeps stdout,
 * would hold the caller. Ending the client cancels nothing in the qube (docs/facts.md#pending-attaches).
 */
export async function callQrexec(site: Site, call: QrexecCall): Promise<QrexecResult> {
  const { client, args } = isManagementQube(site) ? throughPolicy(site, call) : fromDom0(site, call)
  const child = execa(client, args, CLIENT_OPTIONS)
  // A client that ends before it has read its input is no error of ours.
  child.stdin.on('error', () => {})
  child.stdin.end(call.stdin)

  return await new Promise<QrexecResult>((settle) => {
    let settled = false
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    let stdoutBytes = 0
    let stderrBytes = 0
    let settleTimer: NodeJS.Timeout | undefined

    const finish = (end: QrexecResult['end'], exitCode: number | null): void => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      clearTimeout(settleTimer)
      call.signal?.removeEventListener('abort', onAbort)
      if (end !== 'exit') {
        // One that could not be started has no pid, and a kill would go to whatever number lies in its handle.
        if (child.pid !== undefined) child.kill('SIGKILL')
        for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
        // Nothing waits for a child that has been given up.
        child.unref()
      }
      settle({
        end,
        exitCode,
        stdout: Buffer.concat(stdout),
        stderr: cleanStderr(Buffer.concat(stderr).toString('utf8')),
      })
    }
    const onAbort = (): void => finish('aborted', null)
    const timer = setTimeout(() => finish('timeout', null), call.timeoutMs)
    if (call.signal?.aborted === true) return onAbort()
    call.signal?.addEventListener('abort', onAbort, { once: true })

    const read = (stream: Readable, take: (chunk: Buffer) => void): void => {
      stream.on('data', take)
      stream.on('error', () => {})
    }
    read(child.stdout, (chunk) => {
      stdoutBytes += chunk.length
      if (stdoutBytes > call.stdoutLimit) return finish('overflow', null)
      stdout.push(chunk)
    })
    read(child.stderr, (chunk) => {
      if (stderrBytes >= STDERR_LIMIT) return
      stderr.push(chunk.subarray(0, STDERR_LIMIT - stderrBytes))
      stderrBytes += chunk.length
    })
    child.once('error', () => finish('no-client', null))
    // Some failures to start (ENOTDIR, E2BIG) are thrown, and execa then only resolves: no event comes.
    if (child.pid === undefined) void child.then(() => finish('no-client', null))
    // `close` waits for the streams; a grandchild that keeps them must not hold us longer than a moment.
    child.once('close', (code, signal) => finish('exit', code ?? 128 + signalNumber(signal)))
    child.once('exit', (code, signal) => {
      const awaitSilence = (heard: number): void => {
        settleTimer = setTimeout(() => {
          // A process that was not let run finds its timer due before what waits to be read: read first.
          setImmediate(() => {
            if (stdoutBytes + stderrBytes !== heard) return awaitSilence(stdoutBytes + stderrBytes)
            for (const stream of [child.stdout, child.stderr]) stream.destroy()
            finish('exit', code ?? 128 + signalNumber(signal))
          })
        }, EXIT_GRACE_MS)
      }
      awaitSilence(stdoutBytes + stderrBytes)
    })
  })
}

interface ClientCall {
  client: string
  args: string[]
}

function fromDom0(site: Site, { target, user, service }: QrexecCall): ClientCall {
  const connecting = ['-w', String(site.limits.connectSeconds), '-d', target]
  return { client: site.qrexecClient, args: [...connecting, `${user}:QUBESRPC ${service} dom0`] }
}

function throughPolicy(site: Site, { target, user, service }: QrexecCall): ClientCall {
  const name = user === 'root' && service === 'qubes.VMShell' ? ROOT_SHELL : service
  return { client: site.qrexecClientVm, args: ['--', target, name] }
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === 'SIGKILL' ? 9 : 15
}

/** A qube that has a qrexec socket: it runs, or its daemon was killed and left the socket behind. */
export interface QrexecSocket {
  name: QubeName
  /** The domain id in the name of the socket; changes when the qube restarts. */
  domainId: number | null
  /** It has a stub domain that takes calls. */
  stubdom: boolean
}

/**
 * The qubes that have a qrexec socket, by name.
 * The directory belongs to group qubes (docs/facts.md#sockets); names in it are validated all the same.
 */
export function listQrexecSockets(site: Site): Map<QubeName, QrexecSocket> {
  const sockets = new Map<QubeName, QrexecSocket>()
  let entries: string[]
  try {
    entries = readdirSync(site.qubesRunDir)
  } catch {
    return sockets
  }
  const all = new Set(entries)
  for (const entry of entries) {
    const name = entry.startsWith('qrexec.') ? parseQubeName(entry.slice('qrexec.'.length)) : undefined
    if (name === undefined) continue
    sockets.set(name, {
      name,
      domainId: readDomainId(join(site.qubesRunDir, entry)),
      stubdom: all.has(`${entry}-dm`),
    })
  }
  return sockets
}

function readDomainId(link: string): number | null {
  try {
    if (!lstatSync(link).isSymbolicLink()) return null
    const id = /(?:^|\/)qrexec\.([0-9]{1,9})$/.exec(readlinkSync(link))?.[1]
    return id === undefined ? null : Number(id)
  } catch {
    return null
  }
}
