import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cutToWidth, displayWidth } from '../../../src/lib/view/display-width.ts'
import { cleanArbitrary } from './arbitrary.ts'

describe('display width', () => {
  it.each([
    ['', 0],
    ['abc', 3],
    ['é', 1],
    ['e\u0301', 1],
    ['键盘', 4],
    ['ｱ', 1],
    ['Ａ', 2],
    ['한글', 4],
    ['🔑', 2],
    ['𠀀', 2],
    ['Ω→', 2],
  ])('of %j is %d', (text, width) => {
    expect(displayWidth(text)).toBe(width)
  })
})

describe('cutting to a width', () => {
  it.each([
    ['storage', 7, true, 'storage'],
    ['storage', 6, true, 'stora…'],
    ['storage', 6, false, 'sto...'],
    ['键盘键盘', 6, true, '键盘…'],
    ['键盘键盘', 7, true, '键盘键…'],
    ['a b c', 3, true, 'a…'],
    ['abc', 1, true, '…'],
    ['abc', 2, false, '..'],
  ])('%j to %d columns', (text, width, unicode, expected) => {
    expect(cutToWidth(text, width, unicode)).toBe(expected)
  })

  it('never leaves more than it may, nor half a character', () => {
    fc.assert(
      fc.property(cleanArbitrary, fc.integer({ min: 1, max: 70 }), fc.boolean(), (text, width, unicode) => {
        const cut = cutToWidth(text, width, unicode)
        expect(displayWidth(cut)).toBeLessThanOrEqual(width)
        expect(Buffer.from(cut).toString()).toBe(cut)
      }),
    )
  })
})
