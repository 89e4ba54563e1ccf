import { Readable } from 'node:stream'
import { DOM0 } from '../../model/names.ts'
import type { Site } from '../../site/site.ts'
import { POLICY_REFUSES, policyLine, SERVICE_MISSING } from '../refusal.ts'
import { AdminError } from './admin-error.ts'
import type { Request } from './request.ts'

/**
 * The same call from a management qube, by `qrexec-client-vm DEST METHOD+ARG` (core-admin-client, app.py, QubesRemote):
 * dom0's service for it is qubesd's own socket, so what comes back is what the socket gives.
 *
 * A stream that is destroyed ends the client; then qubesd is done with the call, or finishes it unheard.
 * @returns the answer; its error is an AdminError, and one of type `policy` where policy said no
 */
export function callThroughPolicy(site: Site, request: Request): Readable {
  const { method, arg = '', dest = DOM0, payload = '' } = request
  const args = ['--', dest, arg === '' ? method : `${method}+${arg}`]
  let readOn = (): void => {}
  let end = (): void => {}
  const answer = new Readable({
    construct: (done) => {
      // In dom0 nobody needs what starts programs for a call of qubesd: it is loaded here.
      import('../../host/call-program.ts')
        .then(({ abandon, ifNotStarted, readStderr, startProgram }) => {
          const child = startProgram(site.qrexecClientVm, args, payload)
          readOn = () => void child.stdout.resume()
          end = () => abandon(child)
          const stderr = readStderr(child)
          const fail = (code: number | null): void => {
            answer.destroy(explainEnd(site, request, code, stderr.text()))
          }
          ifNotStarted(child, () => fail(null))
          child.stdout.on('error', () => {})
          child.stdout.on('data', (chunk: Buffer) => {
            if (!answer.push(chunk)) child.stdout.pause()
          })
          child.once('close', (code) => {
            if (code === 0) answer.push(null)
            else fail(code)
          })
        })
        .then(() => done(), done)
    },
    read: () => readOn(),
    destroy: (error, done) => {
      end()
      done(error)
    },
  })
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
