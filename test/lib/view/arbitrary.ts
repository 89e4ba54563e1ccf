import * as fc from 'fast-check'
import { deviceClass } from '../../../src/lib/model/device-class.ts'
import { portSchema, qubeNameSchema } from '../../../src/lib/model/fields.ts'
import { cleanText } from '../../../src/lib/model/text.ts'
import { type ListedDevice, listedDeviceSchema } from '../../../src/lib/passthrough/results.ts'

/** A device to vary in tests: valid by the schema. */
export function device(fields: Record<string, unknown> = {}): ListedDevice {
  return listedDeviceSchema.parse({
    backend: 'sys-usb',
    port: '2-1',
    toldBy: 'backend',
    busnum: 2,
    devnum: 5,
    vendorId: '0781',
    productId: '5567',
    serial: null,
    serialUnsafe: false,
    manufacturer: 'SanDisk',
    product: 'Cruzer Blade',
    interfaces: ['080650'],
    speed: 480,
    state: fields.attachedTo ? 'attached' : 'free',
    attachedTo: null,
    driver: 'usb',
    interfaceDrivers: [],
    hub: false,
    hidden: false,
    controller: null,
    inputForDom0: false,
    usage: [],
    class: 'storage',
    description: 'SanDisk Cruzer Blade',
    aliases: [],
    since: null,
    by: null,
    drift: null,
    intendedFor: null,
    assignment: null,
    ...fields,
  })
}

const hex = (digits: number): fc.Arbitrary<string> =>
  fc.integer({ min: 0, max: 16 ** digits - 1 }).map((number) => number.toString(16).padStart(digits, '0'))

const hostileText = fc.oneof(
  fc.string({ maxLength: 60, unit: 'binary' }),
  fc.string({ maxLength: 60, unit: 'grapheme' }),
  fc.constantFrom(
    '\u001b[2J\u001b]0;x\u0007',
    'a\tb\nc\r',
    '\u202eabc',
    '键盘鼠标存储设备',
    '\u009b31m',
    '👩‍👩‍👧 🇩🇪',
    'e\u0301\u0301\u0301\u0301',
  ),
)

/** Any text after the door's cleaning. */
export const cleanArbitrary = hostileText.map((text) => cleanText(text, 100).text)

export const qubeArbitrary = fc
  .stringMatching(/^[a-z][a-z0-9-]{0,20}$/)
  .filter((name) => qubeNameSchema.safeParse(name).success)
  .map((name) => qubeNameSchema.parse(name))

const number = fc.integer({ min: 1, max: 12 })
const portArbitrary = fc
  .tuple(number, fc.array(number, { minLength: 1, maxLength: 4 }))
  .map(([bus, ports]) => portSchema.parse(`${bus}-${ports.join('.')}`))

/** Any device that can come out of a survey, with anything that a listing adds. */
export const deviceArbitrary: fc.Arbitrary<ListedDevice> = fc
  .record({
    backend: qubeArbitrary,
    port: portArbitrary,
    toldBy: fc.constantFrom('backend' as const, 'qubesd' as const),
    busnum: number,
    devnum: fc.option(number),
    vendorId: hex(4),
    productId: hex(4),
    serial: fc.option(cleanArbitrary),
    serialUnsafe: fc.boolean(),
    manufacturer: fc.option(cleanArbitrary),
    product: fc.option(cleanArbitrary),
    interfaces: fc.array(hex(6), { maxLength: 4 }),
    speed: fc.option(fc.constantFrom(1.5, 12, 480, 5000, 20000)),
    state: fc.constantFrom('free' as const, 'attached' as const, 'unknown' as const),
    attachedTo: fc.option(qubeArbitrary),
    driver: fc.option(fc.constantFrom('usb', 'usbip-host')),
    interfaceDrivers: fc.array(fc.constantFrom('usbhid', 'uas'), { maxLength: 2 }),
    hub: fc.boolean(),
    hidden: fc.boolean(),
    controller: fc.option(fc.constant('0000:00:14.0')),
    inputForDom0: fc.boolean(),
    usage: fc.array(
      fc.record({
        kind: fc.constantFrom('mounted' as const, 'swap' as const, 'holder' as const, 'given' as const),
        block: fc.constantFrom('sda', 'sdb1'),
        what: fc.option(cleanArbitrary),
      }),
      { maxLength: 2 },
    ),
    description: cleanArbitrary.map((text) => text || 'a device'),
    aliases: fc.array(fc.stringMatching(/^[a-z][a-z0-9-]{0,30}$/), { maxLength: 3 }),
    since: fc.option(fc.constant('2026-07-01T09:05:00.000Z')),
    by: fc.option(fc.record({ user: cleanArbitrary, rule: fc.option(cleanArbitrary) })),
    drift: fc.option(
      fc.constantFrom('other-tool' as const, 'attached-elsewhere' as const, 'unresolved' as const),
    ),
    intendedFor: fc.option(qubeArbitrary),
    assignment: fc.option(
      fc.record({
        frontend: qubeArbitrary,
        mode: fc.constantFrom('auto-attach', 'ask-to-attach', 'required'),
        also: fc.array(fc.record({ frontend: qubeArbitrary, mode: fc.constant('required' as const) }), {
          maxLength: 1,
        }),
      }),
    ),
  })
  .map((fields) => ({ ...fields, class: deviceClass(fields) }))

/** Every control character but newline, and in colour the escape sequences that paint. */
export function controlCharacters(view: string): string[] {
  return (
    view
      .replace(/\u001b\[[0-9]{1,2}m/g, '')
      .match(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu)
      ?.filter((c) => c !== '\n') ?? []
  )
}
