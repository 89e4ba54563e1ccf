import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LabFileText } from '../../src/lab/file/schema.ts'
import { type Bench, startBench } from './program.ts'

const FILE: LabFileText = {
  qubes: [
    { name: 'sys-usb', backend: true },
    { name: 'my-devices', backend: true },
    { name: 'usb-off', backend: true, state: 'halted' },
    { name: 'work' },
    { name: 'halted', state: 'halted' },
    { name: 'disp7', class: 'DispVM', state: 'paused' },
  ],
  devices: [
    { backend: 'sys-usb', port: '2-1', kind: 'stick' },
    { backend: 'sys-usb', port: '1-2', kind: 'webcam' },
    { backend: 'my-devices', port: '1-1', kind: 'thermometer' },
  ],
}

describe.each(['4.3', '4.2'] as const)('with qubesd of Qubes %s', (qubesd) => {
  let bench: Bench
  beforeAll(async () => {
    bench = await startBench({ ...FILE, qubesd })
  })
  afterAll(async () => await bench?.end())

  it('backends are found by their USB controller, and a halted one is told', async () => {
    const { code, json } = await bench.qusb('list', '--json')
    expect(code).toBe(0)
    expect(
      json.devices.map((each: { backend: string; port: string }) => `${each.backend}:${each.port}`),
    ).toEqual(expect.arrayContaining(['sys-usb:2-1', 'sys-usb:1-2', 'my-devices:1-1']))
    expect(json.warnings).toEqual([
      {
        qube: 'usb-off',
        code: 'HALTED',
        message: expect.stringContaining('is halted'),
        hint: 'Start it: qvm-start usb-off',
      },
    ])
  })

  it.each([
    [['list', 'sys-ubs'], 3, 'NOT_FOUND', 'Did you mean sys-usb?'],
    [['attach', 'sys-usb', '2-1', 'wrok'], 3, 'NOT_FOUND', 'Did you mean work?'],
    [['attach', 'sys-usb', '2-1', 'nothing-like-it'], 3, 'NOT_FOUND', 'qvm-ls lists the qubes.'],
    [['attach', 'sys-usb', '2-1', 'halted'], 7, 'NOT_RUNNING', 'Start it: qvm-start halted'],
    [['list', 'usb-off'], 7, 'NOT_RUNNING', 'Start it: qvm-start usb-off'],
    [['attach', 'sys-usb', '2-1', 'disp7'], 7, 'NOT_RUNNING', expect.stringContaining('leave it alone')],
    [['detach', '--from', 'wokr'], 3, 'NOT_FOUND', 'Did you mean work?'],
    [['detach', 'sys-usb', '2-1', 'wokr'], 3, 'NOT_FOUND', 'Did you mean work?'],
  ])('%j', async (args, code, name, hint) => {
    const begun = Date.now()
    const ran = await bench.qusb(...args, '--json')
    expect(ran.json, ran.stdout).toMatchObject({ error: { code: name, hint } })
    expect(ran.code).toBe(code)
    // A paused qube is not even asked: that would take the three seconds of qrexec's patience.
    expect(Date.now() - begun).toBeLessThan(2900)
  })
})
