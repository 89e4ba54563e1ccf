import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { QubeName } from '../../../../src/lib/model/names.ts'
import { formatDeviceArg, parseDeviceId } from '../../../../src/lib/qubes/admin/device-id.ts'
import {
  findDenial,
  isUsbController,
  parseAvailable,
  parseDenied,
  parseHeld,
  readAssignments,
  readOffered,
} from '../../../../src/lib/qubes/admin/device-lines.ts'
import { formatProperties } from '../../../../src/lib/qubes/admin/properties.ts'
import { parseQubeList } from '../../../../src/lib/qubes/admin/qube-list.ts'

const WORK = 'work' as QubeName

describe('admin.vm.List', () => {
  it('tells every qube and its state', () => {
    const qubes = parseQubeList(
      [
        'dom0 class=AdminVM state=Running',
        'sys-usb class=AppVM state=Running',
        'work state=Halted class=AppVM netvm=x',
        'disp12 class=DispVM state=Paused',
        'slow class=AppVM state=Transient',
        'odd class=AppVM state=Whatever',
        'inherited class=AppVM state=constructor',
        'no;name class=AppVM state=Running',
        'half class=AppVM',
        'bad name class=AppVM state=Running',
        '',
      ].join('\n'),
    )
    expect([...qubes.values()].map(({ name, state }) => `${name} ${state}`)).toEqual([
      'sys-usb running',
      'work halted',
      'disp12 paused',
      'slow changing',
      'odd halted',
      'inherited halted',
    ])
    expect(qubes.get('disp12' as QubeName)?.class).toBe('DispVM')
  })

  it('is bounded and clean, whatever it says', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        for (const { name, class: kind } of parseQubeList(
          `${text}\nwork class=${text} state=Running`,
        ).values()) {
          expect(name).toMatch(/^[a-zA-Z][a-zA-Z0-9_.-]*$/)
          expect(kind).toMatch(/^[A-Za-z]+$/)
        }
      }),
      { numRuns: 2000 },
    )
    expect(parseQubeList('q class=A state=Running\n'.repeat(100_000)).size).toBe(1)
  })
})

describe('a device id', () => {
  it.each([
    ['1050:0407::u030101', { vendorId: '1050', productId: '0407', serial: null, interfaces: ['030101'] }],
    ['1050:0407:A:B::u030101u030000', { serial: 'A:B:', interfaces: ['030101', '030000'] }],
    ["0781:5567:it's + one:u080650", { serial: "it's + one", interfaces: ['080650'] }],
    ['0781:ABCD:u080650:u080650', { productId: 'abcd', serial: 'u080650' }],
    ['0781:5567::', { serial: null, interfaces: [] }],
    ['0781:5567:a\u202eb:u080650', { serial: null, serialUnsafe: true }],
    ['0781:5567:  :u080650', { serial: null, serialUnsafe: true }],
  ])('%s', (text, identity) => {
    expect(parseDeviceId(text)).toMatchObject(identity)
  })

  it('is unknown, or none', () => {
    expect(parseDeviceId('0000:0000::?******')).toBeNull()
    for (const text of ['', '*', '1050:0407', '105:0407::u030101', '1050:0407:u030101', '1050:0407::x'])
      expect(parseDeviceId(text), text).toBeUndefined()
  })

  it('goes into an argument only when it comes back as it was', () => {
    expect(formatDeviceArg('1050:0407::u030101')).toBe('1050+0407++u030101')
    for (const serial of ['a+b', 'a_b', 'a b', "a'b", 'ä', 'a*b', 'a\\b'])
      expect(formatDeviceArg(`1050:0407:${serial}:u030101`), serial).toBe('_')
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-ascii', maxLength: 20 }), (serial) => {
        const id = `1050:0407:${serial}:u030101`
        const arg = formatDeviceArg(id)
        expect(arg).toMatch(/^[A-Za-z0-9+._-]+$/)
        // As qubesd undoes it (core-admin, VirtualDevice.from_qarg).
        if (arg !== '_') expect(arg.replaceAll('+', ':').replaceAll('_', '*')).toBe(id)
      }),
    )
  })
})

/** A line as qubesd of 4.3 makes it. */
function line(
  properties: Record<string, string>,
  head = `${properties.port_id}:${properties.device_id}`,
): string {
  return `${head} ${formatProperties(properties)}\n`
}

const KEY = {
  device_id: '1050:0407:SERIAL:u030101',
  port_id: '2-1',
  devclass: 'usb',
  backend_domain: 'sys-usb',
  manufacturer: 'Yubico',
  product: 'YubiKey',
  serial: 'SERIAL',
  interfaces: 'u030101',
}

/** Serials and names that were made to be mistaken for something else. */
const look = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: 'grapheme-ascii', maxLength: 12 }) },
  {
    weight: 3,
    arbitrary: fc
      .array(
        fc.constantFrom(
          "'",
          '\\',
          "\\'",
          ' ',
          '=',
          "='",
          "' ",
          "' a='",
          "' port_id='2-2",
          'x',
          ':',
          '+',
          "\\' b='",
        ),
        { maxLength: 8 },
      )
      .map((parts) => parts.join('')),
  },
)

describe('Available', () => {
  it.each([
    ['as it is', KEY],
    ['in another order', Object.fromEntries(Object.entries(KEY).reverse())],
    ['with keys that nobody knows', { ...KEY, _option: 'x', later_thing: "it's" }],
    ['with a backslash at the end', { ...KEY, product: 'Key\\', manufacturer: 'A\\' }],
    ['with a quote at the end', { ...KEY, product: "Key'" }],
    [
      'with what looks like the next key',
      { ...KEY, product: "x' serial='y", manufacturer: "' port_id='9-9" },
    ],
    ['with an equals sign at the end', { ...KEY, product: 'a=' }],
    ['empty', { ...KEY, product: '', manufacturer: '' }],
  ])('%s', (_, properties) => {
    const { entries, rejected } = parseAvailable(line(properties))
    expect(rejected).toBe(0)
    expect(entries).toEqual([
      {
        portId: '2-1',
        deviceId: KEY.device_id,
        description: [properties.manufacturer, properties.product].filter((part) => part !== '').join(' '),
        manufacturer: properties.manufacturer || null,
        product: properties.product || null,
        attachedTo: null,
        interfaces: 'u030101',
      },
    ])
  })

  it.each([
    ['work', 'work'],
    ['', null],
    ['-rf', null],
    ['none', null],
  ])('tells who has it, where qubesd does: %s', (attachment, attachedTo) => {
    expect(parseAvailable(line({ ...KEY, attachment })).entries).toMatchObject([{ attachedTo }])
  })

  it('takes for nothing what qubesd writes for nothing', () => {
    const { entries } = parseAvailable(line({ ...KEY, manufacturer: 'unknown', product: 'unknown' }))
    expect(entries).toMatchObject([{ manufacturer: null, product: null }])
  })

  it('takes a serial that looks like properties for a serial', () => {
    const device_id = "1050:0407:A device_id='B' port_id='2-2' x='y:u030101"
    const { entries } = readOffered(parseAvailable(line({ ...KEY, device_id })))
    expect(entries).toEqual([
      expect.objectContaining({
        port: '2-1',
        deviceId: device_id,
        identity: expect.objectContaining({ serial: "A device_id='B' port_id='2-2' x='y" }),
      }),
    ])
  })

  it('reads what Qubes 4.2 says', () => {
    const { entries, rejected } = parseAvailable(
      "2-1 description=Yubico key='x' key\n1-4.1 ro=False description=\n00_14.0 description=USB controller: Intel x=y\n",
    )
    expect(rejected).toBe(0)
    expect(entries).toMatchObject([
      { portId: '2-1', deviceId: null, description: "Yubico key='x' key", interfaces: '' },
      { portId: '1-4.1', deviceId: null, description: '', interfaces: '' },
      { portId: '00_14.0', deviceId: null, description: 'USB controller: Intel x=y', interfaces: '' },
    ])
  })

  it.each([
    ['a head that says something else', line(KEY, '2-2:1050:0407:SERIAL:u030101')],
    ['a head of another identity', line(KEY, '2-1:1050:0408:SERIAL:u030101')],
    ['a key twice', `2-1 ${formatProperties(KEY)} port_id='2-1'\n`],
    ['no end', `2-1 ${formatProperties(KEY).slice(0, -1)}\n`],
    ['text behind', `2-1 ${formatProperties(KEY)} more\n`],
    ['a port that is a path', line({ ...KEY, port_id: '../x' })],
    ['no description', '2-1 ro=True\n'],
    ['nonsense', 'what is this\n'],
    ['a long line', line({ ...KEY, product: 'x'.repeat(5000) })],
  ])('rejects %s', (_, text) => {
    expect(parseAvailable(text)).toEqual({ entries: [], rejected: 1 })
  })

  it('gives back every device as it was, however hostile', () => {
    fc.assert(
      fc.property(
        look,
        look,
        look,
        fc.shuffledSubarray(Object.keys(KEY), { minLength: Object.keys(KEY).length }),
        (serial, product, manufacturer, keys) => {
          const all: Record<string, string> = {
            ...KEY,
            device_id: `1050:0407:${serial}:u030101`,
            serial,
            product,
            manufacturer,
          }
          const properties = Object.fromEntries(keys.map((key) => [key, all[key] ?? '']))
          const { entries, rejected } = parseAvailable(line(properties))
          // Several readings that fit are none; what is read is true.
          if (rejected === 1) return
          expect(entries).toMatchObject([{ portId: '2-1', deviceId: all.device_id, interfaces: 'u030101' }])
        },
      ),
      { numRuns: 5000 },
    )
  })

  it('rejects few of them', () => {
    const sample = fc.sample(fc.tuple(look, look), { numRuns: 1000, seed: 1 })
    const rejected = sample.filter(
      ([serial, product]) =>
        parseAvailable(line({ ...KEY, device_id: `1050:0407:${serial}:u030101`, serial, product })).rejected >
        0,
    )
    expect(rejected.length).toBeLessThan(100)
  })

  it('is quick and clean with anything', () => {
    const begun = Date.now()
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(look, fc.string({ unit: 'binary', maxLength: 30 }), fc.constant(formatProperties(KEY))),
        ),
        (parts) => {
          const text = parts.join(' ')
          const { entries } = parseAvailable(text)
          const offered = readOffered(parseAvailable(text))
          const held = parseHeld(text)
          for (const { description } of [...entries, ...offered.entries])
            expect(description).not.toMatch(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}]/u)
          for (const { backend } of held.entries) expect(backend).toMatch(/^[a-zA-Z][a-zA-Z0-9_.-]*$/)
        },
      ),
      { numRuns: 2000 },
    )
    // The worst there is: every quote may end a value.
    for (const worst of ["a='\\' ", "a='", "\\' a='\\", "'='"])
      parseAvailable(`2-1 a='${worst.repeat(4000 / worst.length)}'\n`.repeat(20))
    expect(Date.now() - begun).toBeLessThan(20_000)
  })
})

describe('Attached and Assigned', () => {
  const held = (
    properties: Record<string, string>,
    head = `${properties.backend_domain}+${properties.port_id}:${properties.device_id}`,
  ) => line(properties, head)

  it('tell the backend, the port, the device and how', () => {
    const all = { ...KEY, mode: 'manual', frontend_domain: 'work', _option: '1' }
    expect(parseHeld(held(all)).entries).toEqual([
      { backend: 'sys-usb', portId: '2-1', deviceId: KEY.device_id, mode: 'manual' },
    ])
    expect(parseHeld(held(all, 'sys-net+2-1')).rejected).toBe(1)
  })

  it('tell assignments to any port, and of any device', () => {
    const text = [
      held({ ...KEY, mode: 'auto-attach' }),
      held({ ...KEY, port_id: '*', mode: 'ask-to-attach' }),
      held({ ...KEY, device_id: '*', mode: 'required' }),
      held({ ...KEY, mode: 'later' }),
    ].join('')
    const { entries, rejected } = readAssignments(WORK, parseHeld(text))
    expect(entries.map(({ port, identity, mode }) => [port, identity?.vendorId ?? null, mode])).toEqual([
      ['2-1', '1050', 'auto-attach'],
      [null, '1050', 'ask-to-attach'],
      ['2-1', null, 'required'],
    ])
    expect(rejected).toBe(1)
  })

  it('of Qubes 4.2', () => {
    const text = 'sys-usb+2-1 persistent=True\nsys-usb+2-2 persistent=False\nsys-usb+2-3 \n'
    expect(readAssignments(WORK, parseHeld(text))).toMatchObject({
      entries: [{ port: '2-1', mode: 'required', identity: null }],
      rejected: 1,
    })
    expect(parseHeld('dom0+00_14.0 no-strict-reset=True persistent=True\n').entries).toEqual([
      { backend: 'dom0', portId: '00_14.0', deviceId: null, mode: 'required' },
    ])
  })
})

describe('USB controllers', () => {
  it.each([
    [
      "00_14.0:0x8086:0xa0ed::p0c0330 device_id='0x8086:0xa0ed::p0c0330' port_id='00_14.0' interfaces='p0c0330'",
      true,
    ],
    ["00_14.0:0x8086:0xa0ed::p0c0330 device_id='0x8086:0xa0ed::p0c0330' port_id='00_14.0'", true],
    [
      "00_1f.6:0x8086:0x15fb::p020000 device_id='0x8086:0x15fb::p020000' port_id='00_1f.6' product='p0c03'",
      false,
    ],
    ['00_14.0 description=USB controller: Intel', true],
    ['00_1f.6 description=Ethernet controller: no USB controller', false],
  ])('%s', (text, is) => {
    expect(parseAvailable(text).entries.map(isUsbController)).toEqual([is])
  })
})

describe('the deny list', () => {
  it.each(['u03***', 'u03****\nnonsense\n', 'u03****u080650', 'u03****\n'.repeat(1025)])(
    'is not taken in part: %j',
    (text) => {
      expect(parseDenied(text)).toBeUndefined()
    },
  )

  it('holds codes with wildcards', () => {
    const denied = parseDenied('u03****\nu080650\n\np0c0330') ?? []
    expect(denied).toEqual(['u03****', 'u080650', 'p0c0330'])
    expect(findDenial(denied, ['ff0000', '030101'])).toBe('u03****')
    expect(findDenial(denied, ['080650'])).toBe('u080650')
    expect(findDenial(denied, ['080651', '0c0330'])).toBeUndefined()
    expect(findDenial(['u******'], ['000000'])).toBe('u******')
    expect(findDenial(['u******'], [])).toBeUndefined()
  })
})
