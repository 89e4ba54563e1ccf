import { describe, expect, it } from 'vitest'
import { failedWith, type Task } from '../../../src/lib/auto/outcome.ts'
import { type ErrorCode, QusbError } from '../../../src/lib/errors.ts'
import type { QubeName } from '../../../src/lib/model/names.ts'
import { SwappedError } from '../../../src/lib/passthrough/verify.ts'
import { DEFAULT_OPTIONS } from '../../../src/lib/rules/options.ts'
import { DEVICE, decisionFor } from './samples.ts'

const WORK = 'work' as QubeName

const task = (retry: number, tries: number): Task => ({
  plugging: { id: 1, device: DEVICE, since: 0, state: { kind: 'busy' } },
  step: {
    kind: 'attach',
    decision: { ...decisionFor('allow', WORK, { ...DEFAULT_OPTIONS, retry }), frontend: WORK },
  },
  tries,
  isStill: () => true,
})
const stateOf = (done: ReturnType<typeof failedWith>) =>
  done.state({ now: 1000, slept: 0, sight: { qubes: new Map() } })
const failure = (code: ErrorCode) => new QusbError(code, 'words')

describe('what a failed attach leads to', () => {
  it.each<[ErrorCode, number, number, string]>([
    ['ATTACH_FAILED', 0, 0, 'gives up'],
    ['ATTACH_FAILED', 2, 1, 'tries again'],
    ['ATTACH_FAILED', 2, 2, 'gives up'],
    ['TIMEOUT', 1, 0, 'tries again'],
    ['STORE', 0, 0, 'gives up'],
    ['NOT_RUNNING', 0, 5, 'tries again'],
    ['NOT_RUNNING', 0, 6, 'gives up'],
    ['NOT_RUNNING', 9, 6, 'tries again'],
    ['CONFLICT', 0, 3, 'tries again'],
    ['REFUSED', 9, 0, 'gives up'],
    ['NO_PROXY', 9, 0, 'gives up'],
  ])('%s with retry=%i after %i tries: %s', (code, retry, tries, what) => {
    const done = failedWith(task(retry, tries), failure(code))
    if (what === 'gives up') {
      expect(stateOf(done)).toEqual({ kind: 'closed', why: 'failed' })
      expect(done).toMatchObject({ gaveUp: true, event: { message: `words [${code}]`, frontend: 'work' } })
    } else {
      expect(stateOf(done)).toEqual({
        kind: 'open',
        tries: tries + 1,
        notBefore: 1000 + Math.min(60_000, 1000 * 2 ** tries),
      })
      expect(done.gaveUp).toBeUndefined()
    }
  })

  it('meets no device a second time that became another one while it was attached', () => {
    const swapped = new SwappedError('CONFLICT', 'another device')
    for (const error of [swapped, new QusbError('CONFLICT', 'not undone', { cause: swapped })]) {
      expect(stateOf(failedWith(task(9, 0), error))).toEqual({ kind: 'closed', why: 'failed' })
    }
  })

  it('keeps the stack of a fault of qusb', () => {
    const done = failedWith(task(9, 0), new TypeError('a fault'))
    expect(done.warnings).toMatchObject([
      { code: 'INTERNAL', message: expect.stringContaining('outcome.test.ts') },
    ])
    expect(stateOf(done).kind).toBe('closed')
  })
})
