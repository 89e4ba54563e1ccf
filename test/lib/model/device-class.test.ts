import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  CLASS_WORDS,
  type ClassWord,
  deviceClass,
  isOfClass,
  parseClassWord,
} from '../../../src/lib/model/device-class.ts'

const device = (interfaces: string[], id = '0000:0000') => {
  const [vendorId = '', productId = ''] = id.split(':')
  return { vendorId, productId, interfaces }
}

describe('the class of a device', () => {
  it.each([
    [['080650'], 'storage'],
    [['030101'], 'keyboard'],
    [['030000'], 'input'],
    [['010100', '0e0100'], 'camera'],
    [['ff0000'], 'vendor-specific'],
    [['020201', '0a0000'], 'serial'],
    [['020600', '0a0000'], 'network'],
    [['e00101'], 'bluetooth'],
    [['e00103', '0a0000'], 'network'],
    [['060101'], 'image'],
    [['aa0000'], 'unknown'],
    [[], null],
  ])('%j is %s', (interfaces, word) => expect(deviceClass(device(interfaces))).toBe(word))

  it.each([
    ['1050:0407', ['030101', '030000'], 'security-key'],
    ['1050:0120', ['030000'], 'security-key'],
    ['20a0:4108', ['080650', '0b0000'], 'security-key'],
    // The same makers' devices that are none.
    ['1050:0010', ['030101'], 'keyboard'],
    ['20a0:0001', ['080650'], 'storage'],
    // A maker's number alone makes no key of another's.
    ['046d:c31c', ['030101', '030000'], 'keyboard'],
    ['0403:6001', ['ffffff'], 'serial'],
    ['0403:ffff', ['ffffff'], 'vendor-specific'],
  ])('%s with %j is %s', (id, interfaces, word) => expect(deviceClass(device(interfaces, id))).toBe(word))

  it.each<[string[], string, ClassWord[], ClassWord[]]>([
    [['080650', '030101'], '0000:0000', ['storage', 'keyboard', 'input'], ['mouse', 'security-key']],
    [['030101', '030000'], '1050:0407', ['security-key', 'keyboard', 'input'], ['smartcard', 'mouse']],
    [['060101'], '0000:0000', ['image', 'camera'], ['storage']],
    [['e00103'], '0000:0000', ['network', 'wireless'], ['bluetooth']],
    [[], '0000:0000', [], ['unknown', 'storage']],
  ])('%j of %s is of %j and not of %j', (interfaces, id, is, isNot) => {
    for (const word of is) expect(isOfClass(device(interfaces, id), word), word).toBe(true)
    for (const word of isNot) expect(isOfClass(device(interfaces, id), word), word).toBe(false)
  })

  it('knows a hub by its descriptor', () => {
    expect(isOfClass({ ...device([]), hub: true }, 'hub')).toBe(true)
    expect(isOfClass({ ...device([]), hub: false }, 'hub')).toBe(false)
  })

  it('is a word that class: takes, and one that the device is of', () => {
    const digit = fc.constantFrom(...'0123456789abcdef')
    const hex = (length: number) => fc.string({ unit: digit, minLength: length, maxLength: length })
    const any = fc.record({
      vendorId: hex(4),
      productId: hex(4),
      interfaces: fc.array(hex(6), { maxLength: 5 }),
    })
    fc.assert(
      fc.property(any, (seen) => {
        const word = deviceClass(seen)
        if (word === null) expect(seen.interfaces).toEqual([])
        else {
          expect(parseClassWord(word)).toBe(word)
          expect(isOfClass(seen, word)).toBe(true)
        }
      }),
    )
  })

  it('has words that a person can type', () => {
    for (const word of CLASS_WORDS) expect(word).toMatch(/^[a-z]+(-[a-z]+)*$/)
  })
})
