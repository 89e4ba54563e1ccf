import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  aliasesOf,
  isNamedDevice,
  type NamedDevice,
  parseAliasName,
  pinOf,
} from '../../../src/lib/model/alias.ts'
import { aliasSchema } from '../../../src/lib/model/alias-record.ts'
import { parseSelector } from '../../../src/lib/model/selector.ts'
import { device, deviceArbitrary } from '../view/arbitrary.ts'

describe('the name of a device', () => {
  it.each(['a', 'red-key', 'x2', 'x'.repeat(31)])('%s', (text) => expect(parseAliasName(text)).toBe(text))
  it.each(['', 'Red', '2x', '-a', 'a_b', 'a b', 'a.b', 'é', 'a\n', 'x'.repeat(32)])('is not %j', (text) =>
    expect(parseAliasName(text)).toBeUndefined(),
  )

  it('is nothing else that a selector may be', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z][a-z0-9-]{0,30}$/), (text) => {
        expect(parseSelector(text)).toMatchObject({
          backend: undefined,
          selector: { kind: 'alias', alias: text },
        })
      }),
    )
  })
})

const key: NamedDevice = {
  vendorId: '1050',
  productId: '0407',
  serial: '0012345',
  pin: null,
  description: 'Yubico YubiKey',
}
const webcam: NamedDevice = {
  vendorId: '046d',
  productId: '0825',
  serial: null,
  pin: { backend: 'sys-usb' as never, controller: '0000:00:14.0', bus: 'usb2', path: '4.1' },
  description: 'Webcam C270',
}

describe('a device that was named', () => {
  const yubi = { vendorId: '1050', productId: '0407', serial: '0012345' }
  it.each([
    [{ ...yubi, port: '2-1' }, true],
    [{ ...yubi, port: '1-7.3', backend: 'sys-usb-dock' }, true],
    [{ ...yubi, serial: '12345' }, false],
    [{ ...yubi, serial: null }, false],
    [{ ...yubi, productId: '0406' }, false],
  ])('by its serial, %j: %s', (fields, is) => expect(isNamedDevice(key, device(fields))).toBe(is))

  const cam = { vendorId: '046d', productId: '0825', controller: '0000:00:14.0', port: '1-4.1', speed: 480 }
  it.each([
    [cam, true],
    // After a reboot the controller's buses have other numbers.
    [{ ...cam, port: '3-4.1', busnum: 3 }, true],
    [{ ...cam, port: '1-4.2' }, false],
    // The same port of the same controller, on its other bus.
    [{ ...cam, speed: 5000 }, false],
    [{ ...cam, controller: '0000:00:15.0' }, false],
    [{ ...cam, controller: null }, false],
    [{ ...cam, backend: 'sys-usb-dock' }, false],
    [{ ...cam, productId: '0826' }, false],
    // One of the kind that has a serial is not the one that had none.
    [{ ...cam, serial: 'A1' }, false],
  ])('and pinned, %j: %s', (fields, is) => expect(isNamedDevice(webcam, device(fields))).toBe(is))

  const schema = aliasSchema()

  it('is known again as it was named, and has the names of all that name it', () => {
    fc.assert(
      fc.property(deviceArbitrary, fc.boolean(), (seen, pinned) => {
        const { vendorId, productId, serial } = seen
        const pin = pinned || serial === null ? pinOf(seen) : null
        const named = { vendorId, productId, serial, pin, description: '' }
        const aliases = [
          schema.parse({ name: 'first', devices: [named] }),
          schema.parse({ name: 'second', devices: [key, named] }),
        ]
        expect(aliasesOf(seen, aliases)).toEqual(['first', 'second'])
      }),
    )
  })

  it('is never any device of its kind', () => {
    expect(schema.safeParse({ name: 'any', devices: [{ ...key, serial: null }] }).success).toBe(false)
    expect(schema.safeParse({ name: 'none', devices: [] }).success).toBe(false)
  })
})
