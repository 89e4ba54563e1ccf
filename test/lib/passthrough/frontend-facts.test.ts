import { expect, it } from 'vitest'
import type { QubeName } from '../../../src/lib/model/names.ts'
import { frontendFacts, type Look } from '../../../src/lib/passthrough/look.ts'

const WORK = 'work' as QubeName

function seen(survey?: { asFrontend: object | null; byQubesd?: object }): Look {
  const surveys = new Map(survey === undefined ? [] : [[WORK, survey]])
  return { surveys, failures: new Map(), endedAt: 0 } as unknown as Look
}

it('what was not looked for is not taken for none', () => {
  const facts = { imports: [], vhci: null, stateFiles: [], pendingImports: [], keptImports: [] }
  expect(frontendFacts(seen({ asFrontend: facts }), WORK)).toBe(facts)
  expect(() => frontendFacts(seen({ asFrontend: null }), WORK)).toThrow('work was not asked')
  // Nobody could look.
  expect(frontendFacts(seen({ asFrontend: null, byQubesd: {} }), WORK)).toBeUndefined()
  expect(frontendFacts(seen(), WORK)).toBeUndefined()
})
