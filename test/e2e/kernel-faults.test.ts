import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  diskOf,
  driverOf,
  endMachines,
  eventually,
  importsOf,
  startMachines,
  sumOf,
  sumOfImage,
  takenPorts,
  whyNoMachines,
} from './kernel-lab.ts'
import { type Bench, expectClean, grants, type Ran } from './program.ts'

const why = await whyNoMachines()

/** What the list may be late after an event, milliseconds. */
const LATE = 2000

describe.skipIf(why !== null)(`what breaks on real kernels${why === null ? '' : ` (${why})`}`, () => {
  let bench: Bench
  const stick = { backend: 'sys-usb', kind: 'qemu-stick', port: '2-1', serial: 'BREAKS', sizeMiB: 1 }

  beforeAll(async () => {
    bench = await startMachines({
      qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }, { name: 'vault' }],
      devices: [stick],
    })
  })
  afterAll(async () => await endMachines(bench, ['sys-usb', 'work', 'vault']))

  const attach = async (frontend: string) => {
    const ran = await bench.qusb('attach', 'sys-usb', '2-1', frontend, '--json')
    expect(ran.code, ran.stderr).toBe(0)
    expect(await importsOf(bench, frontend)).toEqual(['46f4:0001 BREAKS usb-storage'])
  }
  const detach = async () => {
    const ran = await bench.qusb('detach', 'sys-usb', '2-1', '--json')
    expect(ran.code, ran.stderr).toBe(0)
  }
  /** Reads the disk in a qube without end; resolves when it cannot any more. */
  const readOn = async (qube: string): Promise<{ ended: Promise<unknown> }> => {
    const disk = await diskOf(bench, qube, 'BREAKS')
    await eventually(
      'it can be read',
      async () => (await bench.lab.exec(qube, ['lab-read', disk, '0', '1'])).code === 0,
    )
    const started = bench.inQube(qube, 'rm -f /tmp/reads')
    await started
    const ended = bench.lab.exec(qube, [
      'sh',
      '-c',
      `while dd if=/dev/${disk} of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null; do echo 1 >> /tmp/reads; done`,
    ])
    await eventually('it is being read', async () => (await bench.inQube(qube, 'cat /tmp/reads')) !== '')
    return { ended }
  }
  /** What the list says of the stick, asked `LATE` after the event at the latest. */
  const listedAfter = async (since: number): Promise<Ran['json']> => {
    await sleep(Math.max(0, since + LATE - Date.now()))
    return await bench.device('2-1')
  }
  const worksAgain = async (frontend: string) => {
    await attach(frontend)
    expect(await sumOf(bench, frontend, await diskOf(bench, frontend, 'BREAKS'))).toBe(
      await sumOfImage(bench, '2-1'),
    )
    await detach()
    await expectClean(bench, '2-1', frontend)
    expect(await takenPorts(bench, frontend)).toEqual([])
  }

  it('yanked while attached and idle', async () => {
    await attach('work')
    await bench.lab.unplug('sys-usb', '2-1')
    expect(await listedAfter(Date.now())).toBeUndefined()
    expect(await takenPorts(bench, 'work')).toEqual([])
    await bench.lab.plug(stick)
    expect(await bench.device('2-1')).toMatchObject({ state: 'free', attachedTo: null })
    await worksAgain('work')
  })

  it('yanked under read', async () => {
    await attach('work')
    const { ended } = await readOn('work')
    await bench.lab.unplug('sys-usb', '2-1')
    await ended
    expect(await bench.device('2-1')).toBeUndefined()
    await eventually('the port is free', async () => (await takenPorts(bench, 'work')).length === 0)
    await bench.lab.plug(stick)
    await worksAgain('vault')
  })

  it('yanked during the attach', async () => {
    await bench.lab.fault('yank-during-attach', 'sys-usb')
    const ran = await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--json')
    expect([3, 9, 10], ran.stderr).toContain(ran.code)
    expect(grants(bench)).toEqual([])
    await eventually('it is gone', async () => (await bench.device('2-1')) === undefined)
    await eventually('the port is free', async () => (await takenPorts(bench, 'work')).length === 0)
    await bench.lab.plug(stick)
    await worksAgain('work')
  })

  it('the link closed under read', async () => {
    await attach('work')
    const { ended } = await readOn('work')
    await bench.lab.fault('link-closed', 'sys-usb')
    const since = Date.now()
    await ended
    expect(await listedAfter(since)).toMatchObject({ attachedTo: null })
    await eventually('the port is free', async () => (await takenPorts(bench, 'work')).length === 0)
    await worksAgain('vault')
  })

  it('the link stalled under read: a detach frees both sides all the same', async () => {
    await attach('work')
    const { ended } = await readOn('work')
    await bench.lab.fault('link-stalled', 'sys-usb')
    const ran = await bench.qusb('detach', 'sys-usb', '2-1', '--json')
    await bench.lab.fault('link-stalled', 'sys-usb', { off: true })
    expect(ran.code, ran.stderr).toBe(0)
    await ended
    await expectClean(bench, '2-1', 'work')
    await worksAgain('work')
  })

  it('the frontend killed', async () => {
    await attach('vault')
    await bench.lab.fault('killed', 'vault')
    const ran = await bench.qusb('detach', 'sys-usb', '2-1', '--json')
    expect(ran.code, ran.stderr).toBe(0)
    expect(await driverOf(bench, '2-1')).toBe('usb')
    expect(await sumOf(bench, 'sys-usb', await diskOf(bench, 'sys-usb', 'BREAKS'))).toBe(
      await sumOfImage(bench, '2-1'),
    )
    await bench.lab.fault('start', 'vault')
    await worksAgain('vault')
  })

  it('the backend killed and started again', async () => {
    await attach('work')
    await bench.lab.fault('killed', 'sys-usb')
    await eventually('the port is free', async () => (await takenPorts(bench, 'work')).length === 0)
    expect(await bench.qusb('list', 'sys-usb', '--json')).toMatchObject({ code: 7 })
    await bench.lab.fault('start', 'sys-usb')
    expect(await bench.device('2-1')).toMatchObject({ state: 'free', attachedTo: null })
    await worksAgain('work')
  })

  it("the frontend's agent frozen while it has the device", async () => {
    await attach('work')
    await bench.lab.fault('agent-frozen', 'work')
    const ran = await bench.qusb('detach', 'sys-usb', '2-1', '--json')
    expect(ran.code, ran.stderr).toBe(0)
    expect(await driverOf(bench, '2-1')).toBe('usb')
    await bench.lab.fault('agent-frozen', 'work', { off: true })
    await eventually('nothing is left of it', async () => {
      await bench.qusb('list')
      return (await bench.inQube('work', 'ls /run/qubes')) === ''
    })
    await worksAgain('work')
  })

  it("the backend's agent frozen: an attach says so in time, and leaves nothing", async () => {
    await bench.lab.fault('agent-frozen', 'sys-usb')
    const ran = await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--json')
    expect([7, 9]).toContain(ran.code)
    expect(grants(bench)).toEqual([])
    await bench.lab.fault('agent-frozen', 'sys-usb', { off: true })
    await worksAgain('work')
  })
})
