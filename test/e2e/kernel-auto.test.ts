import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { endMachines, eventually, startMachines, whyNoMachines } from './kernel-lab.ts'
import { type Bench, expectClean } from './program.ts'
import { startWatch, type Watching, writeRules } from './watching.ts'

const why = await whyNoMachines()

describe.skipIf(why !== null)('auto-attach on real kernels', () => {
  let bench: Bench
  let watching: Watching | undefined
  beforeAll(async () => {
    bench = await startMachines({
      qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }],
      qubesd: 'none',
    })
  })
  afterAll(async () => {
    await watching?.end()
    await endMachines(bench, ['sys-usb', 'work'])
  })

  it('attaches what a hint tells of: the event of the kernel, a rule of udev, a unit, a call to dom0', async () => {
    const setUp = await bench.qusb('setup', 'backend', 'sys-usb', '--group', 'root', '--json')
    expect(setUp).toMatchObject({ code: 0, json: { changed: true } })
    writeRules(bench, '0951:1666  sys-usb  work  allow  retry=3')
    // Without a hint nobody looks for an hour.
    watching = startWatch(bench, ['--auto', '--every', '3600'])
    const { events } = watching
    await eventually('it watches', async () => events().some(({ event }) => event === 'watching'))
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
    await eventually('it is attached', async () => events().some(({ event }) => event === 'rule-attached'))
    expect(await bench.device('2-1')).toMatchObject({ attachedTo: 'work', by: { rule: '50-test.rules:1' } })
    expect(await bench.qusb('detach', 'sys-usb', '2-1')).toMatchObject({ code: 0 })
    await expectClean(bench, '2-1', 'work')
    // Pulled out and plugged in once more, its rule has it attached again.
    await bench.lab.unplug('sys-usb', '2-1')
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
    await eventually('it is attached again', async () => {
      return events().filter(({ event }) => event === 'rule-attached').length === 2
    })
    expect(await bench.qusb('detach', 'sys-usb', '2-1')).toMatchObject({ code: 0 })
    await expectClean(bench, '2-1', 'work')
    expect(await bench.qusb('setup', 'remove', 'sys-usb', '--group', 'root')).toMatchObject({ code: 0 })
  })
})
