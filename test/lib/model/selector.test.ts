import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSelector, selects, standsAlone } from '../../../src/lib/model/selector.ts'

const device = {
  port: '2-1' as never,
  busnum: 2,
  devnum: 5,
  vendorId: '1050',
  productId: '0407',
  serial: '0012345',
  interfaces: ['030101', '030000'],
  manufacturer: 'Yubico',
  product: 'YubiKey OTP+FIDO',
}

describe('parseSelector', () => {
  it.each([
    ['1050:0407', undefined, { kind: 'identity', vendorId: '1050', productId: '0407', serial: null }],
    ['1050:0407@0012345', undefined, { kind: 'identity', serial: '0012345' }],
    ['1050:0407@a@b:c', undefined, { kind: 'identity', serial: 'a@b:c' }],
    ['ABCD:0407', undefined, { kind: 'identity', vendorId: 'abcd' }],
    ['0x1050.0x0407', undefined, { kind: 'identity', vendorId: '1050', serial: null }],
    ['3.10', undefined, { kind: 'bus-address', busnum: 3, devnum: 10 }],
    ['2-1', undefined, { kind: 'port', port: '2-1' }],
    ['2-1.4', undefined, { kind: 'port', port: '2-1.4' }],
    ['sys-usb:2-1', 'sys-usb', { kind: 'port', port: '2-1' }],
    ['sys-usb:1050:0407', 'sys-usb', { kind: 'identity', vendorId: '1050' }],
    [
      'sys-usb:2-1:1050:0407:0012345:u030101u030000',
      'sys-usb',
      { kind: 'full', interfaces: ['030101', '030000'] },
    ],
    ['sys-usb:2-1:1050:0407::u030101', 'sys-usb', { kind: 'full', serial: null }],
    ['sys-usb:2-1:1050:0407:a:b:u030101', 'sys-usb', { kind: 'full', serial: 'a:b' }],
    // VID:PID even if a qube is called so.
    ['beef:0407', undefined, { kind: 'identity', vendorId: 'beef' }],
    ['name:*YubiKey*', undefined, { kind: 'name', glob: '*YubiKey*' }],
    ['name:a:b 2-1', undefined, { kind: 'name', glob: 'a:b 2-1' }],
    ['class:security-key', undefined, { kind: 'class', word: 'security-key' }],
    // Places in qubes that are called so.
    ['name:2-1', 'name', { kind: 'port', port: '2-1' }],
    ['class:2-1:1050:0407::u030101', 'class', { kind: 'full' }],
    ['name:1050:0407', undefined, { kind: 'name', glob: '1050:0407' }],
    ['red-key', undefined, { kind: 'alias', alias: 'red-key' }],
    ['name', undefined, { kind: 'alias', alias: 'name' }],
  ])('%s', (text, backend, selector) => {
    const parsed = parseSelector(text)
    expect(parsed).not.toHaveProperty('problem')
    expect(parsed).toMatchObject({ backend, selector })
  })

  it.each([
    ['2-1:1.0', /interface/, /2-1 instead/],
    ['sys-usb:2-1:1.0', /interface/, /2-1 instead/],
    ['1050:0407@', /empty/, /"@"/],
    ['01.2', /does not name/, /port/],
    ['2-', /does not name/, /port/],
    ['-k', /does not name/, /port/],
    ['../../x', /does not name/, /port/],
    ['', /does not name/, /port/],
    ['2-1\n', /does not name/, /port/],
    [`1050:0407@${'x'.repeat(127)}`, /too long/, /any serial/],
    ['x'.repeat(5000), /too long/, /port/],
    ['x'.repeat(32), /does not name/, /alias/],
    ['Red-key', /does not name/, /alias/],
    ['sys-usb:red-key', /does not name/, /alias/],
    ['name:', /empty/, /list shows/],
    [`name:${'*'.repeat(201)}`, /too long/, /list shows/],
    ['class:', /no class ""/, /one of .*storage/],
    ['class:Storage', /no class "Storage"/, /one of .*storage/],
  ])('refuses %j', (text, problem, hint) => {
    const parsed = parseSelector(text)
    expect(parsed).toMatchObject({
      problem: expect.stringMatching(problem),
      hint: expect.stringMatching(hint),
    })
  })

  it('takes any text without throwing, and what it takes it keeps as it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const parsed = parseSelector(text)
        if ('problem' in parsed) return
        expect(text.endsWith(parsed.selector.text)).toBe(true)
      }),
      { numRuns: 5000 },
    )
  })
})

describe('standsAlone', () => {
  it.each([
    ['sys-usb:2-1', true],
    ['1050:0407', true],
    ['0x1050.0x0407', true],
    ['2-1', false],
    ['3.10', false],
    ['sys-usb', false],
    ['class:storage', true],
    ['class:nonsense', false],
    ['name:*key*', true],
    ['red-key', false],
  ])('%s: %s', (text, alone) => expect(standsAlone(text)).toBe(alone))
})

describe('selects', () => {
  it.each([
    ['2-1', true],
    ['2-1.1', false],
    ['2.5', true],
    ['2.6', false],
    ['1050:0407', true],
    ['1050:0407@0012345', true],
    ['1050:0407@12345', false],
    ['sys-usb:2-1:1050:0407:0012345:u030101u030000', true],
    ['sys-usb:2-1:1050:0407:0012345:u030101', false],
    ['sys-usb:2-1:1050:0407::u030101u030000', false],
    ['name:*yubikey*', true],
    ['name:Yubico YubiKey OTP+FIDO', true],
    ['name:YubiKey*', false],
    // As the list shows it, by usb.ids.
    ['name:yubico.com Yubikey 4/5*', true],
    ['class:security-key', true],
    ['class:input', true],
    ['class:storage', false],
    ['red-key', true],
    ['blue-key', false],
  ])('%s: %s', (text, matches) => {
    const parsed = parseSelector(text)
    if ('problem' in parsed) throw new Error(parsed.problem)
    const named = { ...device, description: 'Yubico.com Yubikey 4/5 OTP+U2F' }
    expect(selects(parsed.selector, named, ['other', 'red-key'])).toBe(matches)
  })
})
