import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { draftOf } from '../../../src/lib/rules/import.ts'
import { readShareList } from '../../../src/lib/rules/import-qvd.ts'
import { readUsbGuard } from '../../../src/lib/rules/import-usbguard.ts'

const texts = ({ devices }: { devices: { deviceText: string }[] }) =>
  devices.map(({ deviceText }) => deviceText)

describe('readShareList', () => {
  it.each([
    ['0441:0012, 1234:5678@12345678', ['0441:0012', '1234:5678@12345678'], []],
    ['  ABCD:00ef ,,', ['abcd:00ef'], []],
    ['1234:5678@a b:c@d', ['1234:5678@a b:c@d'], []],
    ['0441:0012\n1234:5678', ['0441:0012', '1234:5678'], []],
    ['# QVD\nclient.usb.enable = 1\nclient.usb.share_list=0441:0012,zzz\n', ['0441:0012'], ['zzz']],
    ['client.usb.share_list = \n', [], []],
    ['1234:5678@, 123:5678, 0x1234.0x5678', [], ['1234:5678@', '123:5678', '0x1234.0x5678']],
    ['', [], []],
  ])('%j', (text, devices, leftOut) => {
    const read = readShareList(text)
    expect(texts(read)).toEqual(devices)
    expect(read.leftOut.map(({ what }) => what)).toEqual(leftOut)
  })
})

describe('readUsbGuard', () => {
  it.each([
    ['allow id 1050:0407 serial "0012345"', ['1050:0407@0012345']],
    ['allow id 1050:0407', ['1050:0407']],
    ['allow id 1050:0407 serial ""', ['1050:0407']],
    ['allow 1050:0407', /cannot be read/],
    ['allow id 1050:0407 serial "a\\"b\\\\c\\x41"', ['1050:0407@a"b\\cA']],
    ['allow id 1050:0407 serial one-of { "a" "b" }', ['1050:0407@a', '1050:0407@b']],
    ['allow id one-of { 1050:0407 ABCD:0001 }', ['1050:0407', 'abcd:0001']],
    ['allow id none-of { 1050:0407 }', /is not/],
    [
      'allow id 1050:0407 name "x" hash "y=" parent-hash "z" via-port "1-2" with-connect-type "hotplug"',
      ['1050:0407'],
    ],
    ['allow id *:* with-interface 08:*:*', ['class:storage']],
    ['allow with-interface one-of { 08:*:* 0e:*:* }', ['class:storage', 'class:camera']],
    ['allow with-interface equals { 08:*:* 03:*:* }', /no class has as a whole/],
    ['allow with-interface 08:06:50', /no class has as a whole/],
    ['allow', /any device/],
    ['allow id 1050:*', /every product/],
    ['allow id 1050:0407 if localtime(00:00-12:00)', /condition/],
    ['allow id 1d6b:0002 with-interface 09:00:00', /hub/],
    ['block id 1050:0407', /does not allow/],
    ['reject', /does not allow/],
    ['allow id {', /cannot be read/],
    ['allow id 1050:0407 serial "never closed', /cannot be read/],
    ['# a comment', []],
  ] as const)('%s', (line, expected) => {
    const read = readUsbGuard(`${line}\n`)
    if (expected instanceof RegExp) {
      expect(texts(read)).toEqual([])
      expect(read.leftOut).toMatchObject([{ why: expect.stringMatching(expected) }])
    } else {
      expect(texts(read)).toEqual(expected)
      expect(read.leftOut).toEqual([])
    }
  })

  it('takes any text: each line is read, or left out with a reason', () => {
    const part = fc.constantFrom(
      'allow',
      'id',
      '1050:0407',
      'serial',
      '"x"',
      '{',
      '}',
      'one-of',
      '"',
      '\\',
      'if',
      '09:00:00',
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(part, fc.string({ maxLength: 6 })), { maxLength: 12 }), (parts) => {
        const line = parts.join(' ').replaceAll('\n', '')
        const { devices, leftOut } = readUsbGuard(line)
        const blank = line.trim() === '' || line.trim().startsWith('#')
        expect(devices.length + leftOut.length > 0).toBe(!blank)
      }),
    )
  })
})

describe('draftOf', () => {
  const base = {
    frontend: 'work',
    backend: 'sys-usb',
    port: null,
    identity: null,
    mode: 'auto-attach',
  } as const
  const identity = {
    vendorId: '1050',
    productId: '0407',
    serial: 'A',
    serialUnsafe: false,
    interfaces: ['030101'],
  }
  it.each([
    [{}, { deviceText: '*', action: 'allow' }],
    [{ port: '2-1' }, { deviceText: '2-1' }],
    [{ identity }, { deviceText: '1050:0407@A' }],
    [{ identity, port: '2-1' }, { deviceText: 'sys-usb:2-1:1050:0407:A:u030101' }],
    [{ mode: 'ask-to-attach' }, { action: 'ask' }],
    [{ mode: 'required' }, { action: 'allow' }],
  ])('%j', (changes, draft) => {
    expect(draftOf({ ...base, ...changes } as never)).toMatchObject({
      backend: 'sys-usb',
      frontend: 'work',
      ...draft,
    })
  })
})
