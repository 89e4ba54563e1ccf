import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sameIdentity } from '../../../src/lib/model/identity.ts'
import { isQubeName } from '../../../src/lib/model/names.ts'
import {
  comparePorts,
  parentPort,
  parsePort,
  portFromQubesDbKey,
  portToQubesDbKey,
} from '../../../src/lib/model/port.ts'
import { cleanStderr, cleanText } from '../../../src/lib/model/text.ts'

describe('the name of a qube', () => {
  it.each(['work', 'sys-usb', 'a', 'A.b_c-9', 'x'.repeat(31), 'dom0'])('%s', (name) => {
    expect(isQubeName(name)).toBe(true)
  })
  it.each([
    '',
    '1work',
    '-d',
    'x'.repeat(32),
    'work-dm',
    'none',
    'Domain-0',
    'default',
    'a b',
    'a/b',
    'a\n',
    'uuid:1',
    '@anyvm',
    'ä',
  ])('refuses %j', (name) => expect(isQubeName(name)).toBe(false))
})

describe('a port', () => {
  it.each(['2-1', '2-1.4', '10-12.3.4', '1-1.1.1.1.1.1'])('%s', (text) => {
    const port = parsePort(text)
    expect(port).toBe(text)
    if (port !== undefined) expect(portFromQubesDbKey(portToQubesDbKey(port))).toBe(port)
  })
  it.each([
    '',
    '2',
    '2-',
    '-1',
    '0-1',
    '2-0',
    '2-01',
    '2-1.',
    '2-1:1.0',
    '2-1_4',
    '../../x',
    '2-1\n',
    '2-1.1.1.1.1.1.1.1',
    '1000-1',
  ])('refuses %j', (text) => expect(parsePort(text)).toBeUndefined())
  it('is ordered as a person counts, below its hub', () => {
    const ports = ['2-10', '2-2', '1-4.2', '1-4', '1-4.10'].map((text) => parsePort(text) ?? ('' as never))
    expect(ports.sort(comparePorts)).toEqual(['1-4', '1-4.2', '1-4.10', '2-2', '2-10'])
    expect(parentPort('1-4.2' as never)).toBe('1-4')
    expect(parentPort('1-4' as never)).toBeUndefined()
  })
})

describe('an identity', () => {
  const key = { vendorId: '1050', productId: '0407', serial: '1', interfaces: ['030101'] }
  it('differs in each of its parts', () => {
    expect(sameIdentity(key, { ...key })).toBe(true)
    for (const other of [
      { vendorId: '1051' },
      { productId: '0408' },
      { serial: null },
      { interfaces: ['080650'] },
    ]) {
      expect(sameIdentity(key, { ...key, ...other })).toBe(false)
    }
  })
  it('is compared without interfaces where one look saw none', () => {
    expect(sameIdentity(key, { ...key, interfaces: [] })).toBe(true)
  })
})

describe('cleanText', () => {
  it.each([
    ['plain', 'plain', false],
    ['a\u001b[2Jb', 'a_[2Jb', true],
    ['a\nb\0c', 'a_b_c', true],
    ['\u202egnp.exe', '_gnp.exe', true],
    ['caf\u00e9 \u{1f600}', 'caf\u00e9 \u{1f600}', false],
    ['\ufffd', '_', true],
    ['\ud800x', '_x', true],
    ['x'.repeat(30), `${'x'.repeat(19)}…`, true],
    ['a\u0301\u0301\u0301\u0301\u0301', 'a\u0301\u0301', true],
  ])('%j', (raw, text, changed) => expect(cleanText(raw, 20)).toEqual({ text, changed }))

  it('lets nothing through that moves the cursor, hides or reverses, and never grows', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 300 }),
        fc.integer({ min: 1, max: 80 }),
        (raw, limit) => {
          const { text } = cleanText(raw, limit)
          expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/u)
          expect(text.length).toBeLessThanOrEqual(limit)
        },
      ),
      { numRuns: 10_000 },
    )
  })

  it('joins the lines of an error output', () => {
    expect(cleanStderr('one\r\n\u001b[31mtwo\n\n')).toBe('one | _[31mtwo')
    expect(cleanStderr(' \n')).toBeUndefined()
  })
})
