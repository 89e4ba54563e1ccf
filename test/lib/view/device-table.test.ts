import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { renderDeviceLines, renderDeviceList } from '../../../src/lib/view/device-table.ts'
import { renderDeviceTree } from '../../../src/lib/view/device-tree.ts'
import { displayWidth } from '../../../src/lib/view/display-width.ts'
import { controlCharacters, device, deviceArbitrary } from './arbitrary.ts'

const screen = { width: 80, colour: false, unicode: true }

const alike = [
  device({
    port: '1-2',
    vendorId: '046d',
    productId: '0825',
    class: 'camera',
    description: '键盘 Webcam',
    serial: 'A',
  }),
  device({ serial: '4C530001', attachedTo: 'work' }),
  device({ port: '2-2', serial: '4C530002', speed: 5000 }),
  device({ port: '2-10', class: null, description: 'a device', speed: 1.5, productId: '0001', serial: 'B' }),
]

const troubled = [
  device({ attachedTo: 'vault', drift: 'attached-elsewhere', intendedFor: 'work' }),
  device({
    port: '2-2',
    productId: '0001',
    usage: [{ kind: 'mounted', block: 'sda1', what: '/mnt' }],
    state: 'unknown',
    drift: 'unresolved',
    intendedFor: 'work',
  }),
  device({ port: '2-3', productId: '0002', attachedTo: 'work', drift: 'other-tool' }),
  device({
    port: '2-4',
    productId: '0003',
    class: 'hub',
    description: 'Genesys Hub',
    hub: true,
    hidden: true,
  }),
  device({ port: '2-4.1', productId: '0004', class: 'mouse', hidden: true, inputForDom0: true }),
]

describe('the table of devices', () => {
  it('says that there are none', () => {
    expect(renderDeviceList([], screen)).toBe('No USB devices to show.\n')
  })

  it('is calm and aligned, and shows serials only where they tell two devices apart', () => {
    expect(renderDeviceList(alike, { ...screen, width: 90 })).toBe(`\
BACKEND:PORT  VID:PID    DEVICE                         SERIAL    SPEED  ATTACHED TO
sys-usb:1-2   046d:0825  camera: 键盘 Webcam                      480M
sys-usb:2-1   0781:5567  storage: SanDisk Cruzer Blade  4C530001  480M   work
sys-usb:2-2   0781:5567  storage: SanDisk Cruzer Blade  4C530002  5G
sys-usb:2-10  0781:0001  a device                                 1.5M
`)
  })

  it('cuts the description first, then leaves out the speed, the ids, the serials', () => {
    const head = (width: number): string[] =>
      (renderDeviceList(alike, { ...screen, width }).split('\n')[0] ?? '').split(/ {2,}/)
    expect(head(72)).toEqual(['BACKEND:PORT', 'VID:PID', 'DEVICE', 'SERIAL', 'SPEED', 'ATTACHED TO'])
    expect(head(66)).toEqual(['BACKEND:PORT', 'VID:PID', 'DEVICE', 'SERIAL', 'ATTACHED TO'])
    expect(head(56)).toEqual(['BACKEND:PORT', 'DEVICE', 'SERIAL', 'ATTACHED TO'])
    expect(head(44)).toEqual(['BACKEND:PORT', 'DEVICE', 'ATTACHED TO'])
  })

  it('says in words what is drift, hidden, in use, or in doubt', () => {
    expect(renderDeviceList(troubled, { ...screen, width: 120 })).toBe(`\
BACKEND:PORT   VID:PID    DEVICE                         SPEED  ATTACHED TO  NOTE
sys-usb:2-1    0781:5567  storage: SanDisk Cruzer Blade  480M   vault        elsewhere
sys-usb:2-2    0781:0001  storage: SanDisk Cruzer Blade  480M   unknown      unresolved, in use
sys-usb:2-3    0781:0002  storage: SanDisk Cruzer Blade  480M   work         other tool
sys-usb:2-4    0781:0003  hub: Genesys Hub               480M                hub
sys-usb:2-4.1  0781:0004  mouse: SanDisk Cruzer Blade    480M                hidden, dom0 input

sys-usb:2-1 is attached to vault; qusb had given it to work.
sys-usb:2-2: an operation for work did not come to an end; the next qusb command tries again.
sys-usb:2-3 was attached to work by another tool.
`)
  })

  it('is the same without its colours', () => {
    const coloured = renderDeviceList(troubled, { ...screen, colour: true })
    expect(coloured).toContain('\u001b[')
    expect(coloured.replace(/\u001b\[[0-9]+m/g, '')).toBe(renderDeviceList(troubled, screen))
  })

  it('sends nothing beyond ASCII to a terminal that is not UTF-8', () => {
    const view = renderDeviceList(alike, { width: 60, colour: false, unicode: false })
    expect(view).toMatch(/^[\x20-\x7e\n]+$/)
    expect(view).toContain('camera: __ Webcam')
  })
})

describe('the lines of devices', () => {
  it('are tab-separated, with - for none and ? for a holder that is not known', () => {
    const devices = [
      ...alike.slice(1, 2),
      device({ class: null, speed: null, vendorId: '0001' }),
      device({ state: 'unknown', speed: 1.5 }),
    ]
    expect(renderDeviceLines(devices)).toBe(
      [
        'sys-usb\t2-1\t0781:5567\t4C530001\tstorage\tSanDisk Cruzer Blade\t480\twork\n',
        'sys-usb\t2-1\t0001:5567\t-\t-\tSanDisk Cruzer Blade\t-\t-\n',
        'sys-usb\t2-1\t0781:5567\t-\tstorage\tSanDisk Cruzer Blade\t1.5\t?\n',
      ].join(''),
    )
    expect(renderDeviceLines([])).toBe('')
  })
})

describe('the tree of devices', () => {
  it('shows buses, hubs and ports, also a hub that the survey did not bring', () => {
    const devices = [
      ...troubled,
      device({ backend: 'sys-net', port: '1-10', controller: '0000:00:14.0' }),
      device({ backend: 'sys-net', port: '1-2.3' }),
      device({ backend: 'sys-net', port: '3-1', attachedTo: 'work' }),
    ]
    expect(renderDeviceTree(devices, screen)).toBe(`\
sys-net
├─ bus 1, controller 0000:00:14.0
│  ├─ 1-2  (a hub)
│  │  └─ 1-2.3  0781:5567  storage: SanDisk Cruzer Blade  480M
│  └─ 1-10  0781:5567  storage: SanDisk Cruzer Blade  480M
└─ bus 3
   └─ 3-1  0781:5567  storage: SanDisk Cruzer Blade  480M  → work
sys-usb
└─ bus 2
   ├─ 2-1  0781:5567  storage: SanDisk Cruzer Blade  480M  → vault  (elsewhere)
   ├─ 2-2  0781:0001  storage: SanDisk…  480M  → unknown  (unresolved)  (in use)
   ├─ 2-3  0781:0002  storage: SanDisk Cruzer Blade  480M  → work  (other tool)
   └─ 2-4  0781:0003  hub: Genesys Hub  480M  (hub)
      └─ 2-4.1  0781:0004  mouse: SanDisk Cruzer…  480M  (hidden)  (dom0 input)
`)
  })
})

describe('any devices at all', () => {
  const screens = fc.record({
    width: fc.integer({ min: 40, max: 200 }),
    colour: fc.boolean(),
    unicode: fc.boolean(),
  })

  it('never bring a control character to a view', () => {
    fc.assert(
      fc.property(fc.array(deviceArbitrary, { maxLength: 6 }), screens, (devices, terminal) => {
        expect(controlCharacters(renderDeviceList(devices, terminal))).toEqual([])
        expect(controlCharacters(renderDeviceTree(devices, terminal))).toEqual([])
        const lines = renderDeviceLines(devices)
        expect(controlCharacters(lines.replaceAll('\t', ''))).toEqual([])
        expect(
          lines
            .split('\n')
            .slice(0, -1)
            .map((line) => line.split('\t').length),
        ).toEqual(devices.map(() => 8))
      }),
    )
  })

  it('never make a line of the table or the tree wider than the terminal', () => {
    fc.assert(
      fc.property(
        fc.array(deviceArbitrary, { maxLength: 6 }),
        fc.integer({ min: 50, max: 200 }),
        (devices, width) => {
          // ASCII: here the table is drawn with another measure of width than in the bundle.
          const terminal = { width, colour: false, unicode: false }
          const table = renderDeviceList(devices, terminal).split('\n\n')[0] ?? ''
          for (const line of [...table.split('\n'), ...renderDeviceTree(devices, terminal).split('\n')]) {
            expect(displayWidth(line)).toBeLessThanOrEqual(width)
          }
        },
      ),
    )
  })
})
