import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { insertLines, removeLines } from '../../../src/lib/rules/edit.ts'
import { rulesOf } from './candidate.ts'

describe('insertLines', () => {
  it('begins a file with a word on what it is', () => {
    const content = insertLines(undefined, ['* * work allow'], false)
    expect(content).toMatch(/^# Rules of qusb/)
    expect(rulesOf(content)).toHaveLength(1)
  })

  it.each([
    ['', 'x\n', 'x\n'],
    ['# head\n', '# head\nx\n', '# head\nx\n'],
    ['# head\n\na\nb\n', '# head\n\na\nb\nx\n', '# head\n\nx\na\nb\n'],
    ['a', 'a\nx\n', 'x\na\n'],
  ])('%j', (before, after, first) => {
    expect(insertLines(before, ['x'], false)).toBe(after)
    expect(insertLines(before, ['x'], true)).toBe(first)
  })

  it('takes nothing away, and removing what was put in gives back what was there', () => {
    const content = fc.array(fc.constantFrom('# c', '', '* * work allow', ' \t', '"broken'), { maxLength: 8 })
    fc.assert(
      fc.property(content, fc.boolean(), (lines, first) => {
        const before = lines.map((line) => `${line}\n`).join('')
        const after = insertLines(before, ['NEW'], first)
        const at = after.split('\n').indexOf('NEW') + 1
        expect(removeLines(after, new Set([at]))).toBe(before)
      }),
    )
  })
})
