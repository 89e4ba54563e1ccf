import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matchesGlob } from '../../../src/lib/model/glob.ts'

describe('matchesGlob', () => {
  it.each([
    ['*yubikey*', 'Yubico YubiKey OTP+FIDO', true],
    ['yubico*', 'Yubico YubiKey', true],
    ['yubikey*', 'Yubico YubiKey', false],
    ['Yubico YubiKey', 'yubico yubikey', true],
    ['Webcam C2?0', 'Webcam C270', true],
    ['Webcam C2?0', 'Webcam C20', false],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-b-b-', false],
    ['*', 'x', true],
    ['**?', '', false],
    ['?', '😀', true],
    ['.*', 'abc', false],
    ['[ab]', 'a', false],
  ])('%s of %s: %s', (glob, text, fits) => expect(matchesGlob(glob, text)).toBe(fits))

  it('agrees with a regular expression', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 })
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 12 })
    fc.assert(
      fc.property(letters, text, (glob, candidate) => {
        const pattern = glob.replace(/\*+/g, '.*').replaceAll('?', '.')
        expect(matchesGlob(glob, candidate)).toBe(new RegExp(`^${pattern}$`).test(candidate))
      }),
      { numRuns: 2000 },
    )
  })

  it('is not held up by a pattern made for that', () => {
    const begun = performance.now()
    expect(matchesGlob(`${'*a'.repeat(100)}b`, 'a'.repeat(400))).toBe(false)
    expect(performance.now() - begun).toBeLessThan(1000)
  })
})
