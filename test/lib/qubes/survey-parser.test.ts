import { describe, expect, it } from 'vitest'
import type { QubeName } from '../../../src/lib/model/names.ts'
import type { FrontendFacts, QubeSurvey } from '../../../src/lib/qubes/survey-facts.ts'
import { parseSurvey } from '../../../src/lib/qubes/survey-parser.ts'
import { assertHarmless } from './harmless.ts'
import {
  devicePath,
  FREE_ROW,
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

describe('an answer that is none', () => {
  const whole = renderTranscript({ name: 'sys-usb', devices: [{ port: '2-1' }] }).toString()
  it.each([
    ['nothing', ''],
    ['a shell prompt', 'bash: cannot set terminal process group\n$ '],
    ['cut off at the end', whole.slice(0, whole.lastIndexOf(MARKER))],
    ['an end marker that is cut', whole.slice(0, whole.lastIndexOf(' end'))],
    ['no begin', whole.replace(`${MARKER} begin 1`, '')],
    ['another version', whole.replace('begin 1', 'begin 2')],
    ['another marker', whole.replaceAll('0a0a', '0b0b')],
    ['a section missing', whole.replace(`${MARKER} attributes\n`, '')],
    [
      'sections in another order',
      whole.replace('devices', 'x').replace('facts', 'devices').replace(' x', ' facts'),
    ],
  ])('%s', (_, text) => {
    expect(parseSurvey(Buffer.from(text), MARKER, QUBE, true)).toEqual({ problem: 'nonsense' })
  })

  it.each([
    ['another name', 'work', 'other-qube'],
    ['two names', 'work\n/name = sys-usb', 'other-qube'],
  ])('%s', (_, name, problem) => {
    expect(parseSurvey(renderTranscript({ name }), MARKER, QUBE, true)).toEqual({ problem })
  })

  it('what stands before the marker and after it does not count', () => {
    const noise = `${MARKER}\nD 9-9 usb /sys/devices/x/9-9\n`
    const parts = { name: 'sys-usb', devices: [{ port: '2-1' }] }
    expect(survey({ ...parts, before: noise, after: `${noise}${MARKER} end\n` })).toEqual(survey(parts))
    expect(survey(parts).devices).toHaveLength(1)
  })
})

describe('who has a device', () => {
  it.each([
    ['nobody', [], { state: 'free', attachedTo: null }],
    ['a qube', ['2-1/connected-to = work'], { state: 'attached', attachedTo: 'work' }],
    [
      'said twice',
      ['2-1/connected-to = work', '2-1/connected-to = work'],
      { state: 'attached', attachedTo: 'work' },
    ],
    [
      'two qubes',
      ['2-1/connected-to = work', '2-1/connected-to = vault'],
      { state: 'unknown', attachedTo: null },
    ],
    ['dom0', ['2-1/connected-to = dom0'], { state: 'unknown', attachedTo: null }],
    ['the backend', ['2-1/connected-to = sys-usb'], { state: 'unknown', attachedTo: null }],
    ['a stub domain', ['2-1/connected-to = work-dm'], { state: 'unknown', attachedTo: null }],
    ['no name', ['2-1/connected-to = ../../x'], { state: 'unknown', attachedTo: null }],
    ['an escape', ['2-1/connected-to = wo\u001b[2Jrk'], { state: 'unknown', attachedTo: null }],
    ['an empty name', ['2-1/connected-to = '], { state: 'unknown', attachedTo: null }],
    ['too long a name', [`2-1/connected-to = ${'w'.repeat(32)}`], { state: 'unknown', attachedTo: null }],
  ])('%s', (_, qubesDb, holder) => {
    expect(survey({ devices: [{ port: '2-1' }], qubesDb }).devices).toMatchObject([holder])
  })

  it('a device that is not published is hidden, whoever has it', () => {
    const qubesDb = [
      '2-1/desc = 1050:0407 a b',
      '2-2/usb-ver = 2',
      '2-2/connected-to = work',
      ' = ',
      '9-9/desc = x',
    ]
    const { devices, rejected } = survey({
      devices: [{ port: '2-1' }, { port: '2-2', attributes: { devnum: '3' } }],
      qubesDb,
    })
    expect(devices).toMatchObject([
      { port: '2-1', hidden: false },
      { port: '2-2', hidden: true, state: 'attached', attachedTo: 'work' },
    ])
    expect(rejected).toBe(0)
  })
})

describe('a device that cannot be is dropped, and counted', () => {
  const good = { port: '2-2', attributes: { devnum: '3' } }
  it.each([
    ['path as port', { port: '../../x' }],
    ['root hub', { port: 'usb2' }],
    ['interface', { port: '2-1:1.0' }],
    ['no port', { port: '' }],
    ['leading zero', { port: '02-1' }],
    ['path of another port', { port: '2-1', path: devicePath('2-3') }],
    ['path that climbs', { port: '2-1', path: '/sys/devices/../../etc/2-1' }],
    ['no path of sysfs', { port: '2-1', path: '/etc/2-1' }],
    ['bus of another', { port: '2-1', attributes: { busnum: '3' } }],
    ['no device number', { port: '2-1', attributes: { devnum: '-1' } }],
    ['device number out of range', { port: '2-1', attributes: { devnum: '1000' } }],
    ['device number nought', { port: '2-1', attributes: { devnum: '0' } }],
    ['hexadecimal number', { port: '2-1', attributes: { devnum: '0x9' } }],
    ['upper-case vendor', { port: '2-1', attributes: { idVendor: 'ABCD' } }],
    ['short product', { port: '2-1', attributes: { idProduct: '407' } }],
    ['two products', { port: '2-1', attributes: { idProduct: '0407\n2-1/idProduct:0408' } }],
    ['interface class', { port: '2-1', interfaces: [{ name: '1.0', code: 'xx0101' }] }],
    ['interface name', { port: '2-1', interfaces: [{ name: '1', code: '030101' }] }],
    ['one interface twice', { port: '2-1', interfaces: Array(2).fill({ name: '1.0', code: '030101' }) }],
    [
      'too many interfaces',
      { port: '2-1', interfaces: Array.from({ length: 65 }, (_, n) => ({ name: `1.${n}`, code: '030101' })) },
    ],
  ])('%s', (_, bad) => {
    const found = survey({ devices: [bad, good] })
    expect(found.devices.map(({ port }) => port)).toEqual(['2-2'])
    expect(found.rejected).toBeGreaterThan(0)
  })

  it.each([
    '2-1:product:x',
    '2-1product:x',
    '2-1/pro duct:x',
    '2-1/product1:x',
    `2-1/${'p'.repeat(33)}:x`,
    '2-1/product',
    'product:x',
    '/product:x',
    '2-9/product:x',
    ':',
  ])('no line of its files is %j', (line) => {
    const found = survey({ devices: [{ port: '2-1', attributes: { serial: `A1\n${line}` } }] })
    expect(found.devices).toMatchObject([{ port: '2-1', serial: 'A1', product: null }])
    expect(found.rejected).toBe(1)
  })

  it('both of one port, and both of one address', () => {
    const found = survey({
      devices: [
        { port: '2-1' },
        { port: '2-1', attributes: { devnum: '9', idVendor: 'bad' } },
        { port: '2-3', attributes: { devnum: '7' } },
        { port: '2-4', attributes: { devnum: '7' } },
        good,
      ],
    })
    expect(found.devices.map(({ port }) => port)).toEqual(['2-2'])
    expect(found.rejected).toBe(4)
  })

  it('100,000 devices', () => {
    const devices = Array.from({ length: 4000 }, (_, n) => `D 2-${n + 1} usb /sys/devices/x/2-${n + 1}`)
    const text = renderTranscript({})
      .toString()
      .replace(`${MARKER} devices\n`, `${MARKER} devices\n${devices.join('\n')}\n`)
    const parsed = parseSurvey(Buffer.from(text), MARKER, QUBE, true)
    expect(parsed).toMatchObject({ survey: { truncated: true, devices: [] } })
  })
})

it('the last line of attributes that were cut off counts for nothing', () => {
  const filler = Array.from({ length: 3200 }, (_, n) => `9-9/filler:${String(n).padEnd(40, 'x')}`)
  const text = renderTranscript({ devices: [{ port: '2-1' }] }).toString()
  const cut = text.replace('2-1/devnum:2', `${filler.join('\n')}\n2-1/devnum:2`)
  expect(cut.length).toBeGreaterThan(160_000)
  expect(parseSurvey(Buffer.from(cut), MARKER, QUBE, true)).toMatchObject({
    survey: { truncated: true, devices: [] },
  })
})

it("the ports in usbip-host's table, each once; what is none is left out", () => {
  expect(survey({ facts: ['K 2-1 1-4.2 2-1  ../x 9 '] }).exportSlots).toEqual(['2-1', '1-4.2'])
  expect(survey({ facts: [] }).exportSlots).toEqual([])
})

describe('the table of a virtual host controller', () => {
  const row = (line: string): unknown => survey({ vhci: [VHCI_HEAD, line] }).vhci
  it.each([
    [vhciRow('hs', '0000'), { hub: 'hs', status: 6, remoteBusnum: 2, remoteDevnum: 3, local: '3-1' }],
    [
      vhciRow('ss', '0008', FREE_ROW),
      { hub: 'ss', status: 4, remoteBusnum: null, remoteDevnum: null, local: null },
    ],
    [
      'hs  0001 006 002 ffffffff ffff88003e2f1000 4-1',
      { remoteBusnum: 65_535, remoteDevnum: 65_535, local: '4-1' },
    ],
  ])('%s', (line, expected) => {
    expect(row(line)).toMatchObject([expected])
  })

  it.each([
    vhciRow('xs', '0000'),
    vhciRow('hs', '0x00'),
    vhciRow('hs', '0000000'),
    vhciRow('hs', '0000', { status: '-6' }),
    vhciRow('hs', '0000', { device: '0002000g' }),
    vhciRow('hs', '0000', { device: '00000003' }),
    vhciRow('hs', '0000', { device: '00020000' }),
    vhciRow('hs', '0000', { local: '3-1.' }),
    vhciRow('hs', '0000', { local: '3-1 work' }),
    'hs  0000 006',
    '',
  ])('"%s" is no row', (line) => {
    expect(row(line)).toEqual([])
    expect(survey({ vhci: [VHCI_HEAD, line] }).rejected).toBe(1)
  })

  it('is taken from where the kernel has it only', () => {
    const text = renderTranscript({ vhci: [VHCI_HEAD, vhciRow('hs', '0000')] }).toString()
    for (const elsewhere of ['../../devices/', '../../../devices/x/', '2-1/']) {
      const parsed = parseSurvey(
        Buffer.from(text.replaceAll('../../../devices/', elsewhere)),
        MARKER,
        QUBE,
        true,
      )
      expect(parsed).toMatchObject({ survey: { asFrontend: { vhci: null }, rejected: 2 } })
    }
  })

  it('one without rows is told from none', () => {
    expect(survey({ vhci: [VHCI_HEAD] }).vhci).toEqual([])
    expect(survey({}).vhci).toBeNull()
  })
})

describe('state files and processes', () => {
  it('a port of the controller that comes twice is dropped; an import that two rows claim, too', () => {
    const found = survey({
      devices: [{ port: '3-1', path: '/sys/devices/platform/vhci_hcd.0/usb3/3-1' }],
      vhci: [
        VHCI_HEAD,
        vhciRow('hs', '0000'),
        vhciRow('hs', '0001'),
        vhciRow('hs', '0002', FREE_ROW),
        vhciRow('ss', '0002', FREE_ROW),
      ],
    })
    expect(found.vhci?.map(({ port }) => port)).toEqual(['0000', '0001'])
    expect(found.imports).toEqual([])
    expect(found.rejected).toBe(3)
  })

  it.each([
    ['usb-import-sys-usb-2-1.state', 'sys-usb', '2-1'],
    ['usb-import-a-2-1-3-1.4.state', 'a-2-1', '3-1.4'],
    ['usb-import-a-1.2-3.state', 'a', '1.2-3'],
  ])('%s', (file, backend, port) => {
    // A bus has no dot: the last of these is no port.
    const expected = port.startsWith('1.2') ? [] : [{ backend, port, vhciPort: '0001' }]
    expect(survey({ facts: [`S 0001 ${file}`] }).stateFiles).toEqual(expected)
  })

  it('an attach whose state file names a port that another file names is under way', () => {
    const devices = [
      {
        port: '3-1',
        path: '/sys/devices/platform/vhci_hcd.0/usb3/3-1',
        interfaces: [{ name: '1.0', code: '030101' }],
      },
    ]
    const vhci = [VHCI_HEAD, vhciRow('hs', '0000')]
    const attach = ['S 0 usb-import-sys-usb-2-1.state', 'P 77 qrexec-client-vm\tsys-usb\tqubes.USB+2-1']
    const other = 'S 0000 usb-import-sys-usb-2-2.state'
    expect(survey({ devices, vhci, facts: attach })).toMatchObject({
      pendingImports: [],
      keptImports: [{ backend: 'sys-usb', port: '2-1', pids: [77] }],
    })
    expect(survey({ devices, vhci, facts: [...attach, other] })).toMatchObject({
      pendingImports: [{ backend: 'sys-usb', port: '2-1', pids: [77] }],
      keptImports: [],
    })
  })
})

describe('the check of harm itself', () => {
  const good = survey({ devices: [{ port: '2-1' }, { port: '2-2', attributes: { devnum: '3' } }] })
  const [first, second] = good.devices
  it.each([
    ['a control character', { ...good, devices: [{ ...first, product: '\u001b[2J' }] }],
    ['a mark of direction', { ...good, devices: [{ ...first, serial: 'a\u202e' }] }],
    ['two devices with one port', { ...good, devices: [first, { ...second, port: '2-1' }] }],
    ['two devices with one address', { ...good, devices: [first, { ...second, devnum: first?.devnum }] }],
    ['a holder that cannot be', { ...good, devices: [{ ...first, state: 'attached', attachedTo: 'dom0' }] }],
    ['another qube', { ...good, qube: 'work' }],
  ])('finds %s', (_, bad) => {
    expect(() => assertHarmless({ survey: bad as QubeSurvey }, QUBE, 1000)).toThrow()
  })
})
