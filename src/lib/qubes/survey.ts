import type { QubeName } from '../model/names.ts'
import { randomHex } from '../site/random.ts'
import type { Site } from '../site/site.ts'
import { isManagementQube } from '../site/standpoint.ts'
import probe from './probe.sh'
import { callQrexec, type QrexecResult } from './qrexec.ts'
import { POLICY_REFUSES, policyLine } from './refusal.ts'
import type { Errand } from './root-shell.ts'
import type { QubeSurvey, SurveyFailure } from './survey-facts.ts'
import type { SurveyProblem } from './survey-parser.ts'
import { lastLine } from './transcript.ts'

export type { QubeSurvey, SurveyFailure } from './survey-facts.ts'

export type SurveyResult = { survey: QubeSurvey } | { failure: SurveyFailure }

/**
 * One look at a qube: one call of `qubes.VMShell` that runs the probe there. Never throws for what a qube does.
 * @param options.asFrontend whether what it has of others is looked for, too: that takes it a search among all processes
 * @param options.timeoutMs for the whole call; by default the site's limit
 * @param options.after what root does there first: the look begins when it is over, in the same shell. Not from a management
 *   qube: there that shell is a service of its own, which policy may refuse where it lets us look
 */
export async function surveyQube(
  site: Site,
  qube: QubeName,
  options: { asFrontend?: boolean; signal?: AbortSignal; timeoutMs?: number; after?: Errand } = {},
): Promise<SurveyResult> {
  const marker = makeMarker()
  const asFrontend = options.asFrontend ?? false
  const errand = options.after
  const timeoutMs = (options.timeoutMs ?? site.limits.surveyMs) + (errand?.takesMs ?? 0)
  const answering = callQrexec(site, {
    target: qube,
    user: errand === undefined ? 'DEFAULT' : 'root',
    service: 'qubes.VMShell',
    stdin: (errand?.stdin ?? '') + renderProbe(marker, asFrontend),
    timeoutMs,
    stdoutLimit: site.limits.surveyBytes,
    lastWords: lastLine(marker),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
  // Loaded, and its schemas made, while the qube answers.
  const { parseSurvey } = await import('./survey-parser.ts')
  const result = await answering
  if (result.end === 'exit' || result.end === 'said') {
    // A complete answer counts whatever the exit code, which is not waited for: a login profile may end its shell with any.
    const parsed = parseSurvey(result.stdout, marker, qube, asFrontend)
    if ('survey' in parsed) return parsed
    if (result.exitCode === POLICY_REFUSES && isManagementQube(site)) {
      return { failure: describeRefusal(site, qube) }
    }
    if (result.exitCode !== 125 && result.exitCode !== 127) {
      return { failure: describeProblem(qube, parsed.problem, result) }
    }
  }
  return { failure: describeEnd(qube, result, site, timeoutMs) }
}

/** A word that nothing in the backend could have known before the call. */
export function makeMarker(): string {
  return `qusb-${randomHex(16)}`
}

/**
 * The probe as VMShell reads it: the constant script, and a last line that calls it with the marker.
 * @param asFrontend whether it tells what the qube has of others, too
 */
export function renderProbe(marker: string, asFrontend: boolean): string {
  if (!/^qusb-[0-9a-f]{32}$/.test(marker)) throw new Error('not a marker')
  return `${probe}\nqusb_probe ${marker}${asFrontend ? ' frontend' : ''} </dev/null\n`
}

/**
 * No row of the table of codes is for a qube that answers nonsense. It is NOT_RUNNING: to whoever asks, the qube is
 * not there to be used, and the message tells which it is. INTERNAL would call it a fault of qusb.
 */
function describeProblem(qube: QubeName, problem: SurveyProblem, result: QrexecResult): SurveyFailure {
  return withDetail(result, {
    qube,
    code: 'NOT_RUNNING',
    message:
      problem === 'other-qube'
        ? `${qube} answered with the devices of another qube; its answer is not used`
        : `${qube} answers nonsense; its answer is not used`,
    hint: `Look at ${qube} itself: what its login profile prints or ends, and whether it can still be trusted.`,
  })
}

/** Only between qubes: policy does not decide on what dom0 calls. */
function describeRefusal(site: Site, qube: QubeName): SurveyFailure {
  return {
    qube,
    code: 'REFUSED',
    noShell: true,
    message: `the Qubes policy refuses this qube the call qubes.VMShell to ${qube}, so it cannot be looked into`,
    hint: policyLine(site, 'qubes.VMShell', qube),
  }
}

function describeEnd(qube: QubeName, result: QrexecResult, site: Site, timeoutMs: number): SurveyFailure {
  switch (result.end) {
    case 'not-started':
      return withDetail(result, {
        qube,
        code: 'NOT_FOUND',
        message: `cannot run ${site.qrexecClient}`,
        hint: 'qusb runs in dom0 of Qubes OS. Elsewhere, `qusb lab up` makes a lab to try it.',
      })
    case 'aborted':
      return { qube, code: 'INTERRUPTED', message: `interrupted while asking ${qube}` }
    case 'timeout':
      return withDetail(result, {
        qube,
        code: 'TIMEOUT',
        message: `${qube} did not answer within ${timeoutMs / 1000} s`,
        hint: `Try again, or restart ${qube} if it stays so.`,
      })
    case 'overflow':
      return withDetail(result, {
        qube,
        code: 'NOT_RUNNING',
        message: `${qube} answers nonsense: more than ${site.limits.surveyBytes} bytes; its answer is not used`,
        hint: `Look at ${qube} itself, and whether it can still be trusted.`,
      })
    default:
      return result.exitCode === 127
        ? withDetail(result, {
            qube,
            code: 'NO_PROXY',
            noShell: true,
            message: `${qube} has no service qubes.VMShell, so it cannot be looked into`,
            hint: `Install the package qubes-core-agent in the template of ${qube}.`,
          })
        : withDetail(result, {
            qube,
            code: 'NOT_RUNNING',
            message: `no connection to ${qube}: it is halted or paused, or its agent does not answer`,
            hint: `Start it: qvm-start ${qube}`,
          })
  }
}

function withDetail(result: QrexecResult, failure: SurveyFailure): SurveyFailure {
  return result.stderr === undefined ? failure : { ...failure, detail: result.stderr }
}
