import { describe, expect, it } from 'vitest'
import { QusbError } from '../../../src/lib/errors.ts'
import { parseWords } from '../../../src/lib/passthrough/words.ts'

const UNKNOWN = { isAlias: false, isQube: false }

describe('parseWords', () => {
  it.each([
    [[], undefined, undefined, undefined],
    [['sys-usb'], 'sys-usb', undefined, undefined],
    [['sys-usb', '2-1'], 'sys-usb', '2-1', undefined],
    [['sys-usb', '2-1', 'work'], 'sys-usb', '2-1', 'work'],
    [['sys-usb:2-1', 'work'], 'sys-usb', '2-1', 'work'],
    [['sys-usb:2-1'], 'sys-usb', '2-1', undefined],
    [['1050:0407', 'work'], undefined, '1050:0407', 'work'],
    [['sys-usb', '1050:0407'], 'sys-usb', '1050:0407', undefined],
    [['sys-usb', 'sys-usb:2-1', 'work'], 'sys-usb', '2-1', 'work'],
    [['class:storage', 'work'], undefined, 'class:storage', 'work'],
    [['name:*yubi*', 'work'], undefined, 'name:*yubi*', 'work'],
    [['sys-usb', 'name:*yubi*', 'work'], 'sys-usb', 'name:*yubi*', 'work'],
    [['sys-usb', 'red-key', 'work'], 'sys-usb', 'red-key', 'work'],
    [['sys-usb', 'red-key'], 'sys-usb', 'red-key', undefined],
  ])('%j', (words, backend, device, frontend) => {
    const read = parseWords(words, UNKNOWN)
    expect([read.backend, read.selector?.text, read.frontend]).toEqual([backend, device, frontend])
  })

  it.each([
    [['2-1'], /which backend/],
    [['sys-usb', '2-1:1.0', 'work'], /interface/],
    [['sys-usb', '2-1', 'work-dm'], /stub domain/],
    [['sys-usb', '2-1', 'uuid:1'], /cannot be the name/],
    [['sys-usb', '2-1', '@dispvm'], /cannot be the name/],
    [['-k', '2-1', 'work'], /cannot be the name/],
    [['sys-usb:2-1', 'work', 'vault'], /one word too many/],
    [['class:nonsense', 'work'], /no class "nonsense"/],
    [['1050:0407@', 'work'], /serial .* is empty/],
    [['sys-usb:nonsense', 'work'], /does not name a device/],
    [['sys-usb', 'sys-net:2-1', 'work'], /another backend/],
    [['sys-usb', 'x'.repeat(2000), 'work'], /too long/],
  ])('refuses %j', (words, message) => {
    expect(() => parseWords(words, UNKNOWN)).toThrowError(
      expect.objectContaining({
        code: 'USAGE',
        message: expect.stringMatching(message),
        hint: expect.any(String),
      }),
    )
    expect(() => parseWords(words, UNKNOWN)).toThrow(QusbError)
  })
})

describe('parseWords, the first word being an alias', () => {
  const alias = { isAlias: true, isQube: false }
  const both = { isAlias: true, isQube: true }

  it.each([
    [['red-key'], alias, undefined, 'red-key', undefined],
    [['red-key', 'work'], alias, undefined, 'red-key', 'work'],
    // A qube has the name too, and the other words tell that it is meant.
    [['red-key', '2-1'], both, 'red-key', '2-1', undefined],
    [['red-key', '1050:0407'], both, 'red-key', '1050:0407', undefined],
    [['red-key', '2-1', 'work'], both, 'red-key', '2-1', 'work'],
    [['red-key', 'blue-key', 'work'], both, 'red-key', 'blue-key', 'work'],
  ])('%j', (words, known, backend, device, frontend) => {
    const read = parseWords(words, known)
    expect([read.backend, read.selector?.text, read.frontend]).toEqual([backend, device, frontend])
  })

  it.each([
    [['red-key', '2-1', 'work'], alias, 'USAGE', /one word too many/],
    [['red-key', '2-1'], alias, 'USAGE', /cannot be the name of a frontend/],
    [['red-key'], both, 'AMBIGUOUS', /there is a qube of that name/],
    [['red-key', 'work'], both, 'AMBIGUOUS', /there is a qube of that name/],
  ])('refuses %j', (words, known, code, message) => {
    expect(() => parseWords(words, known)).toThrowError(
      expect.objectContaining({ code, message: expect.stringMatching(message), hint: expect.any(String) }),
    )
  })
})
