import { describe, expect, it } from 'vitest'
import { FAULTS } from '../../src/lab/faults.ts'
import { AT_BACKENDS, ELSEWHERE, NOT_AT_EVERY_STEP } from './strikes.ts'
import { tryEach } from './striking.ts'

describe('at every step of an attach and a detach, at the backends', () => tryEach(AT_BACKENDS))

it('each fault of the lab has its case, or a reason why it has none', () => {
  const tried = [...AT_BACKENDS, ...ELSEWHERE].flatMap(({ blows }) => blows.map(({ name }) => name))
  const known = [
    ...tried.filter((name) => name !== 'unplug' && name !== 'replug'),
    ...Object.keys(NOT_AT_EVERY_STEP),
  ]
  expect([...new Set(known)].sort()).toEqual(Object.keys(FAULTS).sort())
})
