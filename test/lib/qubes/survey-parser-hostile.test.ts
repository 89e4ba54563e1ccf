import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { QubeName } from '../../../src/lib/model/names.ts'
import type { FrontendFacts, QubeSurvey } from '../../../src/lib/qubes/survey-facts.ts'
import { parseSurvey } from '../../../src/lib/qubes/survey-parser.ts'
import { assertHarmless } from './harmless.ts'
import {
  devicePath,
  MARKER,
  renderTranscript,
  type TranscriptParts,
  VHCI_HEAD,
  vhciRow,
} from './transcript-text.ts'

const QUBE = 'sys-usb' as QubeName

function survey(parts: TranscriptParts): QubeSurvey & FrontendFacts {
  const parsed = parseSurvey(renderTranscript(parts), MARKER, QUBE, true)
  if (!('survey' in parsed)) throw new Error(parsed.problem)
  const { asFrontend } = parsed.survey
  if (asFrontend === null) throw new Error('it was asked as a frontend')
  return { ...parsed.survey, ...asFrontend }
}

/** Text as an attacker would have it. */
const hostileText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.constantFrom(
    '\u001b]0;x\u0007',
    '\u202egnp',
    '\u2028',
    '\u0000',
    '../../x',
    '-',
    '0',
    '𐀀\ud800',
    '\ufeff',
    'é́́́́',
    'x'.repeat(5000),
  ),
)
const port = fc
  .tuple(
    fc.integer({ min: 1, max: 12 }),
    fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 7 }),
  )
  .map(([bus, chain]) => `${bus}-${chain.join('.')}`)
const code = fc.constantFrom('030101', '080650', '090000', '0e0100', 'e00101')
const fewPorts = fc.constantFrom('2-1', '2-1.4', '2-2', '3-1', '4-1')

// Ten thousand cases each: on a busy machine they take their time.
describe('whatever a qube answers', { timeout: 240_000 }, () => {
  const check = (output: Buffer): void =>
    assertHarmless(parseSurvey(output, MARKER, QUBE, true), QUBE, output.length)

  it('bytes', () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map((all) => Buffer.from(all).toString('latin1'))
    fc.assert(
      fc.property(fc.array(bytes, { minLength: 4, maxLength: 4 }), ([a = '', b = '', c = '', d = '']) => {
        const lines = ['', `${MARKER} begin 1`, `${MARKER} qubesdb`, a, `${MARKER} devices`, b]
        lines.push(`${MARKER} attributes`, c, `${MARKER} facts`, d, `${MARKER} end`, '')
        check(Buffer.from(lines.join('\n'), 'latin1'))
      }),
      { numRuns: 10_000 },
    )
  })

  it('devices made to deceive', () => {
    const attributes = fc.dictionary(
      fc.constantFrom(
        'serial',
        'product',
        'manufacturer',
        'idVendor',
        'idProduct',
        'busnum',
        'devnum',
        'speed',
        'bDeviceClass',
        'usbip_status',
      ),
      fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom('1050', '2', '3', '480', '09') },
        { weight: 2, arbitrary: hostileText },
      ),
      { maxKeys: 4 },
    )
    const device = fc.record(
      {
        port: fc.oneof({ weight: 6, arbitrary: fewPorts }, { weight: 1, arbitrary: hostileText }),
        path: fc.oneof(
          fewPorts.map(devicePath),
          fewPorts.map((name) => `/sys/devices/platform/vhci_hcd.0/usb3/${name}`),
          hostileText,
        ),
        driver: fc.oneof(fc.constantFrom('usb', 'usbip-host', '-'), hostileText),
        attributes,
        interfaces: fc.array(fc.record({ name: fc.constantFrom('1.0', '1.1', '1.10', 'x'), code }), {
          maxLength: 3,
        }),
        descriptors: fc.array(
          fc.oneof(
            fc.constantFrom(' 12 01 00', ' 09 04 00 00 01 08 06 50 00', ' 00 00'),
            hostileText.map((text) => ` ${text}`),
          ),
          { maxLength: 3 },
        ),
      },
      { requiredKeys: ['port'] },
    )
    const qubesDb = fc
      .tuple(
        fewPorts,
        fc.constantFrom('desc', 'connected-to', 'interfaces'),
        fc.oneof(fc.constantFrom('work', 'dom0', '1050:0407 a b c\\x20d', ':030101:'), hostileText),
      )
      .map(([name, field, value]) => `${name.replace('.', '_')}/${field} = ${value}`)
    const fact = fc
      .tuple(
        fc.constantFrom(
          'B sdb 8:16 ',
          'h ',
          'M /dev/sdb ',
          'W /dev/',
          'V vbd-1-2 ',
          'E event1 ',
          'I x@event1.service',
          'S 0000 usb-import-',
          'P 7 qrexec-client-vm\tsys-usb\tqubes.USB+',
          'P 8 sh\t/x/usb-import\t/y/usb-import-',
          'K ',
          'X ',
          'T',
          'L loop0 /dev/',
        ),
        fc.oneof(
          fewPorts.map(devicePath),
          fewPorts,
          fewPorts.map((name) => `work-${name}.state`),
          fc.constantFrom('8:10', 'sdb'),
          hostileText,
        ),
      )
      .map((parts) => parts.join(''))
    const row = fc.oneof(
      fc.constant(VHCI_HEAD),
      hostileText,
      fc
        .record({
          status: fc.constantFrom('004', '006', '-1'),
          device: fc.constantFrom('00020003', '00000003', '00000000', 'x'),
          local: fc.oneof(fewPorts, fc.constant('0-0'), hostileText),
        })
        .map((parts) => vhciRow('hs', '0000', parts)),
    )
    fc.assert(
      fc.property(
        fc.array(device, { maxLength: 6 }),
        fc.array(qubesDb, { maxLength: 6 }),
        fc.array(row, { maxLength: 4 }),
        fc.array(fact, { maxLength: 10 }),
        (devices, lines, vhci, facts) => {
          check(renderTranscript({ devices, qubesDb: lines, vhci, facts }))
        },
      ),
      { numRuns: 10_000 },
    )
  })

  it('a valid answer, damaged', () => {
    const valid = renderTranscript({
      name: 'sys-usb',
      qubesDb: ['2-1_4/desc = 1050:0407 a\\x20b c d', '2-1_4/connected-to = work'],
      devices: [
        {
          port: '2-1.4',
          attributes: { serial: 'S', product: 'P é' },
          interfaces: [{ name: '1.0', code: '080650', driver: 'usb-storage' }],
        },
        {
          port: '3-1',
          path: '/sys/devices/platform/vhci_hcd.0/usb3/3-1',
          interfaces: [{ name: '1.0', code: '030101' }],
        },
      ],
      vhci: [VHCI_HEAD, vhciRow('hs', '0000')],
      facts: [
        `B sdb 8:16 ${devicePath('2-1.4')}/2-1.4:1.0/block/sdb`,
        'M /dev/sdb /mnt',
        'S 0000 usb-import-a-2-1.state',
        'P 9 qrexec-client-vm\ta\tqubes.USB+2-1',
      ],
    })
    const edit = fc.record({
      at: fc.integer({ min: 0, max: valid.length }),
      cut: fc.integer({ min: 0, max: 12 }),
      put: fc.oneof(
        fc.uint8Array({ maxLength: 6 }),
        hostileText.map((text) => Buffer.from(text)),
        fc.constantFrom(Buffer.from('\n'), Buffer.from('2-1.4')),
      ),
    })
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        check(
          edits.reduce(
            (text, { at, cut, put }) => Buffer.concat([text.subarray(0, at), put, text.subarray(at + cut)]),
            valid,
          ),
        )
      }),
      { numRuns: 10_000 },
    )
  })

  it('valid devices come out as they went in', () => {
    const text = fc
      .string({ unit: fc.constantFrom(...'abcXYZ019 _-.:/é€漢😀'), minLength: 1, maxLength: 60 })
      .map((raw) => raw.trim() || 'x')
    const device = fc.record({
      port,
      idVendor: fc.integer({ min: 0, max: 0xffff }).map((id) => id.toString(16).padStart(4, '0')),
      serial: fc.option(text),
      product: fc.option(text),
      speed: fc.constantFrom(1.5, 12, 480, 5000, 10_000),
      codes: fc.array(code, { minLength: 1, maxLength: 12 }),
      holder: fc.option(fc.constantFrom('work', 'vault', 'dom-1.x_y')),
    })
    fc.assert(
      fc.property(fc.uniqueArray(device, { maxLength: 8, selector: (one) => one.port }), (devices) => {
        const found = survey({
          devices: devices.map((one, index) => ({
            port: one.port,
            attributes: {
              devnum: String(index + 2),
              idVendor: one.idVendor,
              speed: String(one.speed),
              ...(one.serial === null ? {} : { serial: one.serial }),
              ...(one.product === null ? {} : { product: one.product }),
            },
            interfaces: one.codes
              .map((each, number) => ({ name: `1.${number}`, code: each }))
              .sort((a, b) => (a.name < b.name ? -1 : 1)),
          })),
          qubesDb: devices.flatMap((one) => [
            `${one.port.replaceAll('.', '_')}/desc = ${one.idVendor}:0407 a b c`,
            ...(one.holder === null ? [] : [`${one.port.replaceAll('.', '_')}/connected-to = ${one.holder}`]),
          ]),
        })
        expect(found.rejected).toBe(0)
        const byPort = new Map(found.devices.map((each) => [each.port as string, each]))
        expect(byPort.size).toBe(devices.length)
        for (const [index, one] of devices.entries()) {
          expect(byPort.get(one.port)).toMatchObject({
            devnum: index + 2,
            vendorId: one.idVendor,
            productId: '0407',
            serial: one.serial,
            serialUnsafe: false,
            product: one.product,
            speed: one.speed,
            interfaces: one.codes,
            hub: one.codes.includes('090000'),
            hidden: false,
            state: one.holder === null ? 'free' : 'attached',
            attachedTo: one.holder,
          })
        }
      }),
      { numRuns: 1000 },
    )
  })

  it.each([
    [
      'devices',
      (n: number) => ({
        devices: [],
        facts: [],
        qubesDb: [],
        more: Array.from({ length: n / 30 }, (_, i) => `D 2-${i} usb /sys/devices/x/2-${i}`),
      }),
    ],
    ['one long line', (n: number) => ({ qubesDb: ['\\x20'.repeat(n / 4)] })],
    [
      'escapes',
      (n: number) => ({
        qubesDb: Array.from({ length: n / 4100 }, () => `2-1/desc = a b c ${'\\x20'.repeat(1000)}`),
      }),
    ],
    ['blanks', (n: number) => ({ facts: Array.from({ length: n / 4100 }, () => `P 1 ${' '.repeat(4000)}`) })],
    [
      'words',
      (n: number) => ({ facts: Array.from({ length: n / 4100 }, () => `P 1 ${'usb-import\t'.repeat(360)}`) }),
    ],
    [
      'slashes',
      (n: number) => ({
        devices: [{ port: '2-1' }],
        facts: Array.from({ length: n / 1000 }, (_, i) => `B sd${i} 8:${i} ${'/'.repeat(980)}`),
      }),
    ],
    [
      'holders',
      (n: number) => ({
        devices: [{ port: '2-1' }],
        facts: [`B sda 8:0 ${devicePath('2-1')}/sda`, ...Array(Math.floor(n / 4)).fill('h x')],
      }),
    ],
    [
      'mounts',
      (n: number) => ({
        devices: [{ port: '2-1' }],
        facts: [`B sda 8:0 ${devicePath('2-1')}/sda`, ...Array(Math.floor(n / 14)).fill('M /dev/sda \\040')],
      }),
    ],
    [
      'state files',
      (n: number) => ({ facts: Array.from({ length: n / 40 }, (_, i) => `S 0 usb-import-a${i}-2-1.state`) }),
    ],
    [
      'dashes',
      (n: number) => ({
        facts: Array.from({ length: n / 4100 }, () => `S 0 usb-import-${'1-'.repeat(2000)}.state`),
      }),
    ],
    [
      'keys',
      (n: number) => ({
        qubesDb: Array.from(
          { length: n / 20 },
          (_, i) => `${(i % 250) + 1}-${Math.floor(i / 250) + 1}/desc = a`,
        ),
      }),
    ],
    ['line breaks', (n: number) => ({ facts: ['\n'.repeat(n)] })],
  ])('256 KiB of %s take no time', (_, make: (size: number) => TranscriptParts & { more?: string[] }) => {
    const { more, ...parts } = make(256 * 1024)
    const text = renderTranscript(parts).toString()
    const output = Buffer.from(
      text.replace(`${MARKER} attributes`, `${(more ?? []).join('\n')}\n${MARKER} attributes`),
    )
    expect(output.length).toBeGreaterThan(100_000)
    const before = process.cpuUsage()
    check(output)
    const { user, system } = process.cpuUsage(before)
    // What is not linear takes many seconds at this size.
    expect((user + system) / 1000).toBeLessThan(1500)
  })
})
