import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LabFileText } from '../../src/lab/file/schema.ts'
import { type Bench, startBench, until } from './program.ts'
import { startWatch } from './watching.ts'

const FILE: LabFileText = {
  qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }, { name: 'halted', state: 'halted' }],
  devices: [{ backend: 'sys-usb', port: '1-2', kind: 'thermometer' }],
}

describe.each(['4.3', '4.2', 'none'] as const)('watch, qubesd %s', (qubesd) => {
  let bench: Bench
  beforeAll(async () => {
    bench = await startBench({ ...FILE, qubesd })
  })
  afterAll(async () => await bench?.end())

  it('tells of devices, attachments and qubes, and ends when it is told to', async () => {
    const watching = startWatch(bench, ['--every', '1'], { limitMs: 15_000 })
    await watching.told(qubesd === 'none' ? 'watching surveys' : 'watching qubesd')
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
    await watching.told('device-added 2-1')
    expect(await bench.qusb('attach', 'sys-usb', '2-1', 'work')).toMatchObject({ code: 0 })
    await watching.told('device-attached 2-1 work')
    expect(await bench.qusb('detach', 'sys-usb', '2-1')).toMatchObject({ code: 0 })
    await watching.told('device-detached 2-1 work')
    await bench.lab.unplug('sys-usb', '2-1')
    await watching.told('device-removed 2-1')
    await bench.lab.fault('start', 'halted')
    await watching.told('qube-started halted')
    await bench.lab.fault('halt', 'halted')
    await watching.told('qube-stopped halted')
    const code = await watching.end('SIGINT')
    const stderr = watching.stderr()
    expect(code).toBe(130)
    expect(stderr).toBe('')
    for (const event of watching.events()) expect(event).toMatchObject({ schema: 1, at: expect.any(String) })
  })

  it('survives the restart of a backend', async () => {
    const watching = startWatch(bench, ['--every', '1'], { limitMs: 15_000 })
    await watching.told(qubesd === 'none' ? 'watching surveys' : 'watching qubesd')
    await bench.lab.fault('halt', 'sys-usb')
    await watching.told('qube-stopped sys-usb', 'device-removed 1-2')
    await bench.lab.fault('start', 'sys-usb')
    await watching.told('qube-started sys-usb')
    await watching.told('device-added 1-2')
    expect(await watching.end('SIGTERM')).toBe(143)
  })
})

describe('watch', () => {
  it('survives the restart of qubesd, misses nothing, and believes in no detach that never was', async () => {
    const bench = await startBench(FILE)
    try {
      const watching = startWatch(bench, ['--every', '1'], { limitMs: 15_000 })
      await watching.told('watching qubesd')
      await bench.lab.fault('qubesd-restarting', null, { value: '4' })
      await watching.told('watching surveys')
      await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
      await watching.told('device-added 2-1', 'watching qubesd')
      await bench.lab.fault('no-free-port', 'work')
      expect(await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--via', 'admin')).toMatchObject({
        code: 10,
      })
      await bench.lab.unplug('sys-usb', '2-1')
      await watching.told('device-removed 2-1')
      expect(watching.events().filter(({ event }) => event === 'device-detached')).toEqual([])
      await watching.end('SIGINT')
    } finally {
      await bench.end()
    }
  })

  it('tells of a qubesd in trouble once, and again when it was well between', async () => {
    const bench = await startBench(FILE)
    const garble = async (on: boolean): Promise<void> => {
      const options = on ? { value: 'half:admin.vm.device.pci.Available' } : { off: true }
      await bench.lab.fault('qubesd-garbled', null, options)
    }
    try {
      await garble(true)
      const watching = startWatch(bench, ['--every', '1'])
      const warnings = (): number => watching.stderr().split('[QUBESD]').length - 1
      await until('it is told', () => warnings() === 1)
      await bench.lab.fault('start', 'halted')
      await watching.told('qube-started halted')
      expect(warnings()).toBe(1)
      await garble(false)
      await bench.lab.fault('halt', 'halted')
      await watching.told('qube-stopped halted')
      await garble(true)
      await bench.lab.fault('start', 'halted')
      await watching.told('qube-started halted')
      await until('it is told again', () => warnings() === 2)
      await watching.end('SIGINT')
    } finally {
      await bench.end()
    }
  })

  it('is words for a person, and ends with who reads it', async () => {
    const bench = await startBench({ ...FILE, qubesd: 'none' })
    try {
      const { child, done } = bench.start(['watch', '--every', '1'])
      let text = ''
      child.stdout?.on('data', (chunk) => {
        text += String(chunk)
      })
      await until('it begins', () => text.includes('watching, by looking from time to time'))
      child.stdout?.destroy()
      await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
      expect((await done).code).toBe(0)
    } finally {
      await bench.end()
    }
  })
})
