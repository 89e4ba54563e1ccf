import { QusbError } from '../errors.ts'
import type { Device } from '../model/device.ts'
import type { QubeName } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import { type QubeSurvey, type SurveyFailure, surveyQube } from '../qubes/survey.ts'
import type { Context } from './context.ts'
import type { Warning } from './results.ts'

/** What was seen of some qubes, all asked at once. */
export interface Look {
  surveys: Map<QubeName, QubeSurvey>
  failures: Map<QubeName, SurveyFailure>
}

/**
 * Surveys qubes, all at once.
 * @param options.heedSignal false while something is being undone: then an interrupt no longer stops the looking
 * @throws QusbError INTERRUPTED or TERMINATED when the user interrupts
 */
export async function lookAt(
  context: Context,
  qubes: Iterable<QubeName>,
  options: { heedSignal?: boolean } = {},
): Promise<Look> {
  const heed = options.heedSignal ?? true
  const names = [...new Set(qubes)]
  const results = await Promise.all(
    names.map((name) => surveyQube(context.site, name, heed ? { signal: context.signal } : {})),
  )
  if (heed) context.signal.throwIfAborted()
  const look: Look = { surveys: new Map(), failures: new Map() }
  names.forEach((name, i) => {
    const result = results[i]
    if (result === undefined) return
    if ('survey' in result) look.surveys.set(name, result.survey)
    else look.failures.set(name, result.failure)
  })
  return look
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

export function failureToWarning(failure: SurveyFailure): Warning {
  return { qube: failure.qube, code: failure.code, message: failure.message, hint: failure.hint ?? null }
}

/** What should be said of a survey that was not whole. */
export function warningsOf(survey: QubeSurvey): Warning[] {
  const warnings: Warning[] = []
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
