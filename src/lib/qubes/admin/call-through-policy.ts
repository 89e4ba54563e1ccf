import { Readable } from 'node:stream'
import type { ResultPromise } from 'execa'
import { DOM0 } from '../../model/names.ts'
import { cleanStderr } from '../../model/text.ts'
import type { Site } from '../../site/site.ts'
import { CLIENT_OPTIONS } from '../client.ts'
import { POLICY_REFUSES, policyLine, SERVICE_MISSING } from '../refusal.ts'
import { AdminError } from './admin-error.ts'
import type { Request } from './request.ts'

/** The most that is read of what the client says of itself. */
const STDERR_LIMIT = 8 * 1024

/**
 * The same call from a management qube, by `qrexec-client-vm DEST METHOD+ARG` (core-admin-client, app.py, QubesRemote):
 * dom0's service for it is qubesd's own socket, so what comes back is what the socket gives.
 *
 * A stream that is destroyed ends the client with SIGKILL; then qubesd is done with the call, or finishes it unheard.
 * @returns the answer; its error is an AdminError, and one of type `policy` where policy said no
 */
export function callThroughPolicy(site: Site, request: Request): Readable {
  let client: Client | undefined
  const answer = new Readable({
    construct: (done) => {
      // In dom0 nobody needs what starts processes for a call of qubesd: it is loaded here.
      import('execa')
        .then(({ execa }) => {
          client = startClient(execa, site, request)
          listen(client)
        })
        .then(() => done(), done)
    },
    read: () => void client?.stdout.resume(),
    destroy: (error, done) => {
      if (client !== undefined) endClient(client)
      done(error)
    },
  })
  const listen = (child: Client): void => {
    const stderr: Buffer[] = []
    let stderrBytes = 0
    child.stderr.on('error', () => {})
    child.stderr.on('data', (chunk: Buffer) => {
      if (stderrBytes < STDERR_LIMIT) stderr.push(chunk.subarray(0, STDERR_LIMIT - stderrBytes))
      stderrBytes += chunk.length
    })
    const fail = (code: number | null): void => {
      answer.destroy(explainEnd(site, request, code, cleanStderr(Buffer.concat(stderr).toString('utf8'))))
    }
    child.stdout.on('error', () => {})
    child.stdout.on('data', (chunk: Buffer) => {
      if (!answer.push(chunk)) child.stdout.pause()
    })
    child.once('error', () => fail(null))
    // Some failures to start are thrown, and execa then only resolves: no event comes.
    if (child.pid === undefined) void child.then(() => fail(null))
    child.once('close', (code) => {
      if (code === 0) answer.push(null)
      else fail(code)
    })
  }
  return answer
}

type Execa = typeof import('execa').execa
type Client = ResultPromise<typeof CLIENT_OPTIONS>

function startClient(
  execa: Execa,
  site: Site,
  { method, arg = '', dest = DOM0, payload = '' }: Request,
): Client {
  const child = execa(
    site.qrexecClientVm,
    ['--', dest, arg === '' ? method : `${method}+${arg}`],
    CLIENT_OPTIONS,
  )
  // A client that ends before it has read its input is no error of ours.
  child.stdin.on('error', () => {})
  child.stdin.end(payload)
  return child
}

function endClient(child: Client): void {
  // One that could not be started has no pid, and a kill would go to whatever number lies in its handle.
  if (child.pid !== undefined) child.kill('SIGKILL')
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
  child.unref()
}

function explainEnd(
  site: Site,
  { method, dest = DOM0 }: Request,
  code: number | null,
  said: string | undefined,
): AdminError {
  const detail = said === undefined ? {} : { detail: said }
  if (code === POLICY_REFUSES) {
    return new AdminError('policy', `the Qubes policy refuses this qube the call ${method} to ${dest}`, {
      hint: policyLine(site, method, dest),
      ...detail,
    })
  }
  // A dom0 that does not know the call has no service for it; asked at its socket, qubesd would answer nothing.
  if (code === SERVICE_MISSING) {
    return new AdminError('empty', `dom0 has no service ${method}`, detail)
  }
  const why = code === null ? `cannot run ${site.qrexecClientVm}` : `${method} to ${dest} ended in ${code}`
  return new AdminError('unreachable', `no connection to qubesd: ${why}`, detail)
}
