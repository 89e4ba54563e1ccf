import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { driverOf, endMachines, startMachines, takenPorts, whyNoMachines } from './kernel-lab.ts'
import { type Bench, expectClean } from './program.ts'

const why = await whyNoMachines()

describe.skipIf(why !== null)(`limits of real kernels${why === null ? '' : ` (${why})`}`, () => {
  let bench: Bench

  beforeAll(async () => {
    bench = await startMachines({
      qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }],
      devices: [
        { backend: 'sys-usb', kind: 'qemu-stick', port: '2-1', serial: 'LAST', sizeMiB: 1 },
        { backend: 'sys-usb', kind: 'keyboard', port: '1-3' },
      ],
    })
  })
  afterAll(async () => await endMachines(bench, ['sys-usb', 'work']))

  it("all ports of the frontend's virtual host taken: said clearly, and the device stays usable", async () => {
    await bench.lab.fault('no-free-port', 'work')
    // Real devices on every port: 15 of USB 2 and 15 of USB 3, as Debian's kernel has them.
    expect(await takenPorts(bench, 'work')).toHaveLength(30)
    for (const port of ['2-1', '1-3']) {
      const ran = await bench.qusb('attach', 'sys-usb', port, 'work', '--json')
      expect(ran.code, ran.stderr).toBe(10)
      // The cause in our words, and the proxy's own beside it.
      expect(JSON.stringify(ran.json.error)).toContain('No unused port found!')
      expect(await driverOf(bench, port)).toBe('usb')
    }
    await bench.lab.fault('no-free-port', 'work', { off: true })
    expect(await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--json')).toMatchObject({ code: 0 })
    expect(await bench.qusb('detach', 'sys-usb', '2-1', '--json')).toMatchObject({ code: 0 })
    await expectClean(bench, '2-1', 'work')
  })

  it("the backend's table of ports full (16, and none is ever freed): said clearly, or a way round it", async () => {
    const filled = await bench.lab.exec('sys-usb', [
      'sh',
      '-c',
      'i=1; while [ $i -le 16 ]; do printf "add 9-$i" > /sys/bus/usb/drivers/usbip-host/match_busid || exit; i=$((i + 1)); done',
    ])
    // The two that this file has attached take a slot each.
    expect(filled.code).not.toBe(0)
    await bench.lab.plug({
      backend: 'sys-usb',
      kind: 'qemu-stick',
      port: '2-2',
      serial: 'ONE-TOO-MANY',
      sizeMiB: 1,
    })
    const ran = await bench.qusb('attach', 'sys-usb', '2-2', 'work', '--json')
    if (ran.code === 0) await bench.qusb('detach', 'sys-usb', '2-2')
    else expect(ran).toMatchObject({ code: 10, json: { error: { code: 'ATTACH_FAILED' } } })
    await expectClean(bench, '2-2', 'work')
    // Those that have a slot go on.
    expect(await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--json')).toMatchObject({ code: 0 })
    expect(await bench.qusb('detach', 'sys-usb', '2-1', '--json')).toMatchObject({ code: 0 })
  })
})
