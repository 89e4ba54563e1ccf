import { type ErrorCode, QusbError } from '../errors.ts'
import type { Device } from '../model/device.ts'
import type { QubeName } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import type { Errand } from '../qubes/root-shell.ts'
import { type QubeSurvey, type SurveyFailure, type SurveyResult, surveyQube } from '../qubes/survey.ts'
import type { FrontendFacts } from '../qubes/survey-facts.ts'
import { isManagementQube } from '../site/standpoint.ts'
import type { FoundBackends } from './backends.ts'
import type { Context } from './context.ts'
import { whyNotThere } from './qube-directory.ts'
import type { Warning } from './results.ts'

/** What was seen of some qubes, all asked at once. */
export interface Look {
  surveys: Map<QubeName, QubeSurvey>
  failures: Map<QubeName, SurveyFailure>
  /** When it was over, by process.uptime(), s: loading performance.now() takes a millisecond. */
  endedAt: number
}

/** How old a look may be that something is done by, s: an older one waited for a lock, or for a slow machine. */
const FRESH_S = 0.1

export function isFresh({ endedAt }: Look): boolean {
  return process.uptime() - endedAt < FRESH_S
}

interface LookOptions {
  heedSignal?: boolean
  after?: { qube: QubeName; errand: Errand } | undefined
}

/**
 * Surveys qubes, all at once. One that is not there or is paused, by qubesd's word, is not asked. Of a backend where nothing
 * can be run qubesd's word is taken for what it has.
 * @param options.heedSignal false while something is being undone: then an interrupt no longer stops the looking
 * @param options.frontends those of them that are no backends: what one has is its own word, or nobody's. What they have of
 *   others is looked for
 * @param options.asFrontends whether that is looked for in all of them
 * @param options.after what is done in one of them first: its look begins when that is over
 * @param options.found backends that qubesd adds: they are surveyed as soon as it has told of them
 * @throws QusbError INTERRUPTED or TERMINATED when the user interrupts
 */
export async function lookAt(
  context: Context,
  qubes: Iterable<QubeName>,
  options: LookOptions & {
    frontends?: readonly QubeName[]
    asFrontends?: boolean
    found?: Promise<FoundBackends>
  } = {},
): Promise<Look> {
  const heed = options.heedSignal ?? true
  const results = new Map<QubeName, Promise<SurveyResult>>()
  const known = await context.directory.qubes()
  const begin = (name: QubeName): void => {
    if (results.has(name)) return
    const failure = whyNotThere(known, name, isManagementQube(context.site))
    if (failure !== undefined) {
      results.set(name, Promise.resolve({ failure }))
      return
    }
    const isFrontend = options.frontends?.includes(name) === true
    const asked = surveyQube(context.site, name, {
      asFrontend: isFrontend || options.asFrontends === true,
      ...(heed ? { signal: context.signal } : {}),
      ...(options.after?.qube === name ? { after: options.after.errand } : {}),
    })
    results.set(name, isFrontend ? asked : orByQubesd(context, asked, heed))
  }
  for (const name of qubes) begin(name)
  for (const name of (await options.found)?.running ?? []) begin(name)
  const surveys: Look['surveys'] = new Map()
  const failures: Look['failures'] = new Map()
  for (const [name, running] of results) {
    const result = await running
    if ('survey' in result) surveys.set(name, result.survey)
    else failures.set(name, result.failure)
  }
  if (heed) context.signal.throwIfAborted()
  return { surveys, failures, endedAt: process.uptime() }
}

/** Surveys both sides of an attachment; a stub domain cannot be looked into. */
export async function lookAtBoth(
  context: Context,
  { backend, frontend, stubdom }: { backend: QubeName; frontend: QubeName; stubdom: boolean },
  options: LookOptions = {},
): Promise<Look> {
  const qubes = stubdom ? [backend] : [backend, frontend]
  return await lookAt(context, qubes, { ...options, frontends: [frontend] })
}

/** qubesd's word, where nothing can be run in the backend and qubesd tells of it. */
async function orByQubesd(
  context: Context,
  asked: Promise<SurveyResult>,
  heedSignal: boolean,
): Promise<SurveyResult> {
  const own = await asked
  if (!('failure' in own) || own.failure.noShell !== true) return own
  const signal = heedSignal ? context.signal : new AbortController().signal
  // From a management qube others may be hidden by policy.
  const all = !isManagementQube(context.site)
  return await context.directory.askMore<SurveyResult>(
    `which devices ${own.failure.qube} has`,
    signal,
    own,
    async (asking, qubes) => {
      const { surveyByAdmin } = await import('../qubes/admin/survey.ts')
      return { survey: await surveyByAdmin(asking, own.failure, [...qubes.values()], all) }
    },
  )
}

/** The survey of one qube. @throws QusbError why there is none */
export function surveyOf(look: Look, qube: QubeName): QubeSurvey {
  const survey = look.surveys.get(qube)
  if (survey !== undefined) return survey
  const failure = look.failures.get(qube)
  throw failure === undefined ? new Error(`${qube} was not surveyed`) : failureToError(failure)
}

export function failureToError(failure: SurveyFailure): QusbError {
  return new QusbError(failure.code, failure.message, {
    ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    ...(failure.detail === undefined ? {} : { detail: failure.detail }),
  })
}

/**
 * What a qube has of others, where it was looked into.
 * @throws Error when that was not looked for: nothing found would be no answer
 */
export function frontendFacts({ surveys }: Look, qube: QubeName): FrontendFacts | undefined {
  const survey = surveys.get(qube)
  if (survey?.asFrontend === null && survey.byQubesd === undefined) {
    throw new Error(`${qube} was not asked for what it has of others`)
  }
  return survey?.asFrontend ?? undefined
}

/**
 * Why a qube has not done what it was to do: what is wrong with it, where it could not be looked into; else as told: it had
 * its time.
 */
export function whyNotDone(
  { failures }: Look,
  qube: QubeName,
  why: string,
): { why: string; code: ErrorCode } {
  const failure = failures.get(qube)
  return { why: failure?.message ?? why, code: failure?.code ?? 'TIMEOUT' }
}

export function failureToWarning(failure: SurveyFailure): Warning {
  return { qube: failure.qube, code: failure.code, message: failure.message, hint: failure.hint ?? null }
}

export function errorToWarning({ code, message, hint }: QusbError): Warning {
  return { qube: null, code, message, hint: hint ?? null }
}

/** What should be said of a survey that was not whole. */
export function warningsOf(survey: QubeSurvey): Warning[] {
  const warnings: Warning[] = []
  if (survey.byQubesd !== undefined) {
    const { message, hint } = survey.byQubesd.because
    warnings.push({
      qube: survey.qube,
      code: 'BY_QUBESD',
      message: `${message}: what is shown of it is the word of qubesd`,
      hint: hint ?? null,
    })
  }
  if (survey.rejected > 0) {
    warnings.push({
      qube: survey.qube,
      code: 'REJECTED',
      message: `${survey.rejected} ${survey.rejected === 1 ? 'entry' : 'entries'} of ${survey.qube} made no sense and ${survey.rejected === 1 ? 'is' : 'are'} not shown`,
      hint: null,
    })
  }
  if (survey.truncated) {
    warnings.push({
      qube: survey.qube,
      code: 'TRUNCATED',
      message: `${survey.qube} has more devices than are shown`,
      hint: null,
    })
  }
  return warnings
}

export function deviceAt(survey: QubeSurvey | undefined, port: Port): Device | undefined {
  return survey?.devices.find((device) => device.port === port)
}
