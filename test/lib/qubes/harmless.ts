import type { QubeName } from '../../../src/lib/model/names.ts'
import type { QubeSurvey } from '../../../src/lib/qubes/survey-facts.ts'
import type { SurveyProblem } from '../../../src/lib/qubes/survey-parser.ts'
import { qubeSurveySchema } from './survey-schema.ts'

/** Written down again, apart from the cleaning code: what must never reach a terminal, a log or JSON. */
const HARMFUL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\uFFFD]/u

/**
 * Checks what the parser made of a hostile answer.
 * @param size bytes of the answer
 * @throws Error that says what is wrong
 */
export function assertHarmless(
  result: { survey: QubeSurvey } | { problem: SurveyProblem },
  qube: QubeName,
  size: number,
): void {
  if ('problem' in result) return
  const survey = qubeSurveySchema.parse(result.survey)
  if (survey.qube !== qube || survey.devices.some((device) => device.backend !== qube)) {
    throw new Error('devices of another qube')
  }
  const text = JSON.stringify(survey)
  // A device costs its answer a hundred bytes and more, and becomes a thousand at most; usage is bounded by device.
  if (text.length > 4096 + 40 * size) throw new Error(`${size} bytes became ${text.length}`)
  assertClean(survey)
  assertDifferent(
    'port',
    survey.devices.map(({ port }) => port),
  )
  const { imports = [], pendingImports = [], keptImports = [] } = survey.asFrontend ?? {}
  assertDifferent('address', [
    ...survey.devices.map(({ busnum, devnum }) => `${busnum}.${devnum}`),
    ...imports.map(({ busnum, devnum }) => `${busnum}.${devnum}`),
  ])
  assertDifferent('port of the controller', survey.asFrontend?.vhci?.map(({ port }) => port) ?? [])
  assertDifferent('local name', [
    ...survey.devices.map(({ port }) => port),
    ...imports.map(({ local }) => local),
  ])
  assertDifferent(
    'import',
    [...pendingImports, ...keptImports].map(({ backend, port }) => `${backend}:${port}`),
  )
  for (const { state, attachedTo, serial, serialUnsafe } of survey.devices) {
    if ((state === 'attached') !== (attachedTo !== null)) throw new Error('a holder without attachment')
    if (attachedTo === 'dom0' || attachedTo === qube) throw new Error('a holder that cannot be')
    if (serialUnsafe && serial !== null) throw new Error('an unsafe serial that counts')
  }
}

function assertClean(value: unknown): void {
  if (typeof value === 'string') {
    if (HARMFUL.test(value)) throw new Error(`harmful text ${JSON.stringify(value)}`)
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, each] of Object.entries(value)) {
      assertClean(key)
      assertClean(each)
    }
  }
}

function assertDifferent(what: string, all: readonly string[]): void {
  if (new Set(all).size !== all.length)
    throw new Error(`two with one ${what}: ${all.join(' ').slice(0, 500)}`)
}
