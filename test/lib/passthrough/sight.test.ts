import { describe, expect, it } from 'vitest'
import type { Device } from '../../../src/lib/model/device.ts'
import type { QubeName } from '../../../src/lib/model/names.ts'
import type { Port } from '../../../src/lib/model/port.ts'
import { compareSights, type Sight } from '../../../src/lib/passthrough/sight.ts'

const USB = 'sys-usb' as QubeName

function device(port: string, more: Partial<Device> = {}): Device {
  return {
    backend: USB,
    port: port as Port,
    toldBy: 'backend',
    busnum: 2,
    devnum: 3,
    vendorId: '0781',
    productId: '5567',
    serial: 'A',
    serialUnsafe: false,
    manufacturer: null,
    product: 'Stick',
    interfaces: ['080650'],
    speed: 480,
    state: 'free',
    attachedTo: null,
    driver: 'usb',
    interfaceDrivers: [],
    hub: false,
    hidden: false,
    controller: null,
    inputForDom0: false,
    usage: [],
    ...more,
  }
}

const attachedTo = (frontend: string): Partial<Device> => ({
  state: 'attached',
  attachedTo: frontend as QubeName,
})

function sight(
  devices: Device[],
  qubes: Record<string, string> = {},
  qubesBy: Sight['qubesBy'] = 'qubesd',
): Sight {
  return {
    devices: new Map([[USB, devices]]),
    qubes: new Map(
      Object.entries(qubes).map(([name, text]) => {
        const [state = '', id] = text.split(' ')
        return [
          name as QubeName,
          { state: state as 'running', domainId: id === undefined ? null : Number(id) },
        ] as const
      }),
    ),
    qubesBy,
  }
}

const told = (before: Sight, after: Sight): string[] =>
  compareSights(before, after).map(({ event, port, frontend, qube }) =>
    [event, port, frontend, qube].filter((part) => part !== null).join(' '),
  )

describe('devices', () => {
  it.each<[string, Device[], Device[], string[]]>([
    ['nothing', [device('2-1')], [device('2-1', { usage: [] })], []],
    ['a plug', [], [device('2-1')], ['device-added 2-1']],
    ['an unplug', [device('2-1')], [], ['device-removed 2-1']],
    ['an attach', [device('2-1')], [device('2-1', attachedTo('work'))], ['device-attached 2-1 work']],
    ['a detach', [device('2-1', attachedTo('work'))], [device('2-1')], ['device-detached 2-1 work']],
    [
      'a move',
      [device('2-1', attachedTo('work'))],
      [device('2-1', attachedTo('vault'))],
      ['device-detached 2-1 work', 'device-attached 2-1 vault'],
    ],
    [
      'an unplug while attached',
      [device('2-1', attachedTo('work'))],
      [],
      ['device-detached 2-1 work', 'device-removed 2-1'],
    ],
    [
      'another device at the place',
      [device('2-1', attachedTo('work'))],
      [device('2-1', { devnum: 4, serial: 'B' })],
      ['device-detached 2-1 work', 'device-removed 2-1', 'device-added 2-1'],
    ],
    [
      'the same device plugged again and attached',
      [device('2-1')],
      [device('2-1', { devnum: 4, ...attachedTo('work') })],
      ['device-removed 2-1', 'device-added 2-1', 'device-attached 2-1 work'],
    ],
    ['hubs and hidden ones', [], [device('1-1', { hub: true }), device('1-2', { hidden: true })], []],
    [
      'a hidden one that is attached',
      [device('1-2', { hidden: true })],
      [device('1-2', { hidden: true, ...attachedTo('work') })],
      ['device-added 1-2', 'device-attached 1-2 work'],
    ],
    [
      'a holder that is not known for a moment',
      [device('2-1', attachedTo('work'))],
      [device('2-1', { state: 'unknown' })],
      [],
    ],
  ])('%s', (_, before, after, events) => {
    expect(told(sight(before), sight(after))).toEqual(events)
  })
})

describe('qubes', () => {
  it.each([
    ['halted', 'running 3', ['qube-started work']],
    ['running 3', 'halted', ['qube-stopped work']],
    ['running 3', 'running 4', ['qube-stopped work', 'qube-started work']],
    ['running 3', 'paused 3', ['qube-paused work']],
    ['paused 3', 'running 3', ['qube-unpaused work']],
    ['running 3', 'paused 4', ['qube-stopped work', 'qube-paused work', 'qube-started work']],
    ['halted', 'changing', []],
    ['changing', 'running 3', ['qube-started work']],
    ['running 3', 'running 3', []],
  ])('from %s to %s', (before, after, events) => {
    expect(told(sight([], { work: before }), sight([], { work: after })).sort()).toEqual([...events].sort())
  })

  it('of which another source tells are not compared', () => {
    expect(told(sight([], { work: 'running 3' }, 'sockets'), sight([], { halted: 'halted' }))).toEqual([])
  })

  it('end before their devices go, and begin before theirs come', () => {
    expect(
      told(
        sight([device('2-1', attachedTo('work'))], { work: 'running 1' }),
        sight([device('2-1')], { work: 'halted' }),
      ),
    ).toEqual(['qube-stopped work', 'device-detached 2-1 work'])
    expect(
      told(sight([], { 'sys-usb': 'halted' }), sight([device('2-1')], { 'sys-usb': 'running 2' })),
    ).toEqual(['qube-started sys-usb', 'device-added 2-1'])
  })
})
