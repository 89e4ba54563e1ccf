import { Readable } from 'node:stream'
import type { Program } from '../../host/call-program.ts'
import { DOM0 } from '../../model/names.ts'
import { cleanStderr } from '../../model/text.ts'
import type { Site } from '../../site/site.ts'
import { POLICY_REFUSES, policyLine, SERVICE_MISSING } from '../refusal.ts'
import { AdminError } from './admin-error.ts'
import type { Request } from './request.ts'

/** The most that is read of what the client says of itself. */
const STDERR_LIMIT = 8 * 1024

/**
 * The same call from a management qube, by `qrexec-client-vm DEST METHOD+ARG` (core-admin-client, app.py, QubesRemote):
 * dom0's service for it is qubesd's own socket, so what comes back is what the socket gives.
 *
 * A stream that is destroyed ends the client; then qubesd is done with the call, or finishes it unheard.
 * @returns the answer; its error is an AdminError, and one of type `policy` where policy said no
 */
export function callThroughPolicy(site: Site, request: Request): Readable {
  let client: { child: Program; abandon(child: Program): void } | undefined
  const answer = new Readable({
    construct: (done) => {
      const { method, arg = '', dest = DOM0, payload = '' } = request
      const args = ['--', dest, arg === '' ? method : `${method}+${arg}`]
      // In dom0 nobody needs what starts programs for a call of qubesd: it is loaded here.
      import('../../host/call-program.ts')
        .then(({ startProgram, abandon, ifNotStarted }) => {
          const child = startProgram(site.qrexecClientVm, args, payload)
          client = { child, abandon }
          ifNotStarted(child, () => fail(null, ''))
          listen(child)
        })
        .then(() => done(), done)
    },
    read: () => void client?.child.stdout.resume(),
    destroy: (error, done) => {
      client?.abandon(client.child)
      done(error)
    },
  })
  const fail = (code: number | null, said: string): void => {
    answer.destroy(explainEnd(site, request, code, cleanStderr(said)))
  }
  const listen = (child: Program): void => {
    const stderr: Buffer[] = []
    let stderrBytes = 0
    child.stderr.on('error', () => {})
    child.stderr.on('data', (chunk: Buffer) => {
      if (stderrBytes < STDERR_LIMIT) stderr.push(chunk.subarray(0, STDERR_LIMIT - stderrBytes))
      stderrBytes += chunk.length
    })
    child.stdout.on('error', () => {})
    child.stdout.on('data', (chunk: Buffer) => {
      if (!answer.push(chunk)) child.stdout.pause()
    })
    child.once('close', (code) => {
      if (code === 0) answer.push(null)
      else fail(code, Buffer.concat(stderr).toString('utf8'))
    })
  }
  return answer
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
