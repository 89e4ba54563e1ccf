import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FaultName } from '../../src/lab/faults.ts'
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
        { backend: 'sys-usb', kind: 'keyboard', port: '1-3', product: "it's '$(id)'" },
      ],
    })
  })
  afterAll(async () => await endMachines(bench, ['sys-usb', 'work']))

  it('what a device says of itself is published, at every look, and does nothing', async () => {
    for (const look of ['first', 'second']) {
      const published = await bench.inQube('sys-usb', 'qubesdb-multiread -f /qubes-usb-devices/1-3/')
      expect(published, look).toMatch(/^\/qubes-usb-devices\/1-3\/desc = \S+ \S+ it's\\x20'\$\(id\)' \S*\n/)
      expect(published, look).toMatch(/\/interfaces = :0301[0-9a-f]+:\n.*\/usb-ver = 2$/)
    }
    expect(await bench.inQube('sys-usb', 'ls /run/published')).toContain('1-3')
  })

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

  describe('faults of services', () => {
    const attach = async (...more: string[]) =>
      await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--json', ...more)
    /** Sets a fault, does the work, and takes the fault back; then everything works, and both sides are clean. */
    const under = async (
      [name, qube, value]: [FaultName, string, string?],
      work: () => Promise<void>,
    ): Promise<void> => {
      await bench.lab.fault(name, qube, value === undefined ? {} : { value })
      try {
        await work()
      } finally {
        await bench.lab.fault(name, qube, { off: true })
      }
      await bench.qusb('detach', 'sys-usb', '2-1', 'work')
      await expectClean(bench, '2-1', 'work')
      expect(await takenPorts(bench, 'work')).toEqual([])
    }

    it('late and slow: done all the same', async () => {
      await under(['late-answer', 'sys-usb', '1'], async () => {
        expect(await attach()).toMatchObject({ code: 0, json: { changed: true } })
      })
      await under(['slow-attach', 'sys-usb', '2'], async () => {
        expect(await attach()).toMatchObject({ code: 0, json: { changed: true } })
      })
    })

    it('an attach that hangs: TIMEOUT, and undone', async () => {
      await under(['attach-hangs', 'sys-usb'], async () => {
        const ran = await attach('--timeout', '3')
        expect(ran.code, ran.stderr).toBe(9)
        expect(await bench.device('2-1')).toMatchObject({ attachedTo: null })
      })
    })

    it('a service that is missing: NO_PROXY, on the side that it is', async () => {
      for (const qube of ['work', 'sys-usb']) {
        await under(['service-missing', qube], async () => {
          const ran = await attach()
          expect(ran.code, ran.stderr).toBe(8)
          expect(ran.json.error.message).toContain(`${qube} (`)
        })
      }
    })

    it('a shell that answers something else: its answer is not used', async () => {
      await under(['hostile-answer', 'sys-usb', 'echo qusb; cat'], async () => {
        expect((await attach()).code).toBe(7)
      })
    })

    it('a qube that is paused: NOT_RUNNING, and not asked', async () => {
      await under(['pause', 'work'], async () => {
        const ran = await attach()
        expect(ran.code, ran.stderr).toBe(7)
        expect(ran.json.error.message).toContain('paused')
      })
    })
  })

  it("the backend's table of ports full (16, and none is ever freed): said clearly", async () => {
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
    expect(ran, ran.stderr).toMatchObject({ code: 10, json: { error: { code: 'ATTACH_FAILED' } } })
    expect(ran.json.error.message).toContain('16 ports')
    expect(ran.json.error.hint).toContain('restart sys-usb')
    await expectClean(bench, '2-2', 'work')
    // Those that have a slot go on.
    expect(await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--json')).toMatchObject({ code: 0 })
    expect(await bench.qusb('detach', 'sys-usb', '2-1', '--json')).toMatchObject({ code: 0 })
  })
})
