import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findCover } from '../../../src/lib/rules/covers.ts'
import { decide } from '../../../src/lib/rules/decide.ts'
import { makeCandidate, rulesOf } from './candidate.ts'

const isCovered = (wide: string, narrow: string): boolean => {
  const [first, second] = rulesOf(`${wide}\n${narrow}`)
  if (first === undefined || second === undefined) throw new Error('two rules')
  return findCover([first], second) !== undefined
}

describe('findCover', () => {
  it.each([
    ['* * a allow', '1050:0407 * b allow', true],
    ['* sys-usb a allow', '1050:0407 * b allow', false],
    ['* sys-usb a allow', '2-1 sys-usb b allow', true],
    ['1050:0407 * a allow', '1050:0407@1 * b allow', true],
    ['1050:0407@1 * a allow', '1050:0407 * b allow', false],
    ['1050:0407 * a allow', '0x1050.0x0407 * b allow', true],
    ['1050:0407 * a allow', 'sys-usb:2-1:1050:0407:1:u030101 * b allow', true],
    ['2-1 * a allow', 'sys-usb:2-1:1050:0407:1:u030101 * b allow', true],
    ['class:storage * a allow', 'class:storage * b deny', true],
    ['class:storage * a allow', '0781:5567 * b allow', false],
    ['* * a allow when-running=yes', '1050:0407 * b allow', false],
    ['* * a allow when-running=yes', '1050:0407 * a allow when-running=yes', true],
    ['1050:0407 * a allow', '* * b allow', false],
  ])('%s before %s: %s', (wide, narrow, covered) => expect(isCovered(wide, narrow)).toBe(covered))

  it('tells the truth: a rule that it says is covered never wins', () => {
    const device = fc.constantFrom(
      '*',
      '1050:0407',
      '1050:0407@0012345',
      '2-1',
      'class:input',
      'class:keyboard',
      'red-key',
    )
    const rule = fc
      .tuple(
        device,
        fc.constantFrom('*', 'sys-usb', 'sys-net'),
        fc.constantFrom('a', 'b'),
        fc.constantFrom('', ' when-running=yes'),
      )
      .map(([what, backend, frontend, option]) => `${what} ${backend} ${frontend} allow${option}`)
    const candidate = fc.record({
      backend: fc.constantFrom('sys-usb', 'sys-net'),
      port: fc.constantFrom('2-1', '2-2'),
      serial: fc.constantFrom('0012345', null),
      interfaces: fc.constantFrom(['030101'], ['080650'], []),
    })
    fc.assert(
      fc.property(
        fc.array(rule, { maxLength: 5 }),
        candidate,
        fc.subarray(['a', 'b']),
        (lines, changes, running) => {
          const rules = rulesOf(lines.join('\n'))
          const { rule: winner } = decide(rules, makeCandidate(changes, { aliases: ['red-key'] }), {
            running: new Set(running) as never,
          })
          if (winner === null) return
          expect(findCover(rules.slice(0, rules.indexOf(winner)), winner)).toBeUndefined()
        },
      ),
      { numRuns: 1000 },
    )
  })
})
