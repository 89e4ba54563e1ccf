import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { splitLine } from '../../../src/lib/completion/split-line.ts'

describe('a line up to the cursor', () => {
  it.each([
    ['', [], '', false],
    ['qusb', [], 'qusb', false],
    ['qusb ', ['qusb'], '', false],
    ['qusb attach sys-usb:2', ['qusb', 'attach'], 'sys-usb:2', false],
    ['qusb  attach\tsys', ['qusb', 'attach'], 'sys', false],
    ['qusb attach "sys-usb:2', ['qusb', 'attach'], 'sys-usb:2', true],
    ["qusb attach 'a b' w", ['qusb', 'attach', 'a b'], 'w', false],
    ['qusb a\\ b', ['qusb'], 'a b', false],
    ['qusb ""', ['qusb'], '', true],
    ["qusb '' x", ['qusb', ''], 'x', false],
    ['qusb "a\\"b', ['qusb'], 'a"b', true],
    ['qusb "a\\nb', ['qusb'], 'a\\nb', true],
    ["qusb 'a\\", ['qusb'], 'a\\', true],
    ['qusb a\\', ['qusb'], 'a', false],
    ['qusb $(reboot) `x`', ['qusb', '$(reboot)'], '`x`', false],
  ])('%j', (line, words, current, quoted) => {
    expect(splitLine(line)).toEqual({ words, current, quoted })
  })

  it('gives back words that were quoted, whatever is in them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'binary' })),
        fc.string({ unit: 'binary' }),
        (words, current) => {
          const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`
          const line = [...words, current].map(quote).join(' ')
          expect(splitLine(line)).toMatchObject({ words, current })
        },
      ),
    )
  })
})
