import { describe, expect, it } from 'vitest'
import { QusbError } from '../../../src/lib/errors.ts'
import { readWords } from '../../../src/lib/passthrough/words.ts'

describe('readWords', () => {
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
  ])('%j', (words, backend, device, frontend) => {
    const read = readWords(words)
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
    [['sys-usb', 'sys-net:2-1', 'work'], /another backend/],
    [['sys-usb', 'x'.repeat(2000), 'work'], /too long/],
  ])('refuses %j', (words, message) => {
    expect(() => readWords(words)).toThrowError(
      expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) }),
    )
    expect(() => readWords(words)).toThrow(QusbError)
  })
})
