import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  complaintsOf,
  endMachines,
  eventually,
  importsOf,
  startMachines,
  takenPorts,
  whyNoMachines,
} from './kernel-lab.ts'
import { type Bench, expectClean, grants, type Ran } from './program.ts'

const why = await whyNoMachines()
const CYCLES = 50
const PROCESSES = 20
const FRONTENDS = ['work', 'vault']

describe.skipIf(why !== null)(`many at once on real kernels${why === null ? '' : ` (${why})`}`, () => {
  let bench: Bench
  const devices = [
    { backend: 'sys-usb', kind: 'qemu-stick', port: '2-1', serial: 'S1', sizeMiB: 1 },
    { backend: 'sys-usb', kind: 'qemu-stick', port: '2-2', serial: 'S2', sizeMiB: 1 },
    { backend: 'sys-usb', kind: 'qemu-keyboard', port: '1-3', serial: 'K1' },
    { backend: 'sys-usb', kind: 'qemu-keyboard', port: '1-4', serial: 'K2' },
    { backend: 'sys-usb', kind: 'qemu-serial', port: '1-5', serial: 'L1' },
    { backend: 'sys-usb', kind: 'mtp', port: '1-6', serial: 'M1' },
  ]

  beforeAll(async () => {
    bench = await startMachines({
      qubes: [{ name: 'sys-usb', backend: true }, ...FRONTENDS.map((name) => ({ name }))],
      devices,
    })
  })
  afterAll(async () => await endMachines(bench, ['sys-usb', ...FRONTENDS]))

  /** No port wedged, no process of a kernel or a service stuck, no kernel that complained. */
  const expectQuiet = async () => {
    for (const qube of ['sys-usb', ...FRONTENDS]) {
      await eventually(`nothing hangs in ${qube}`, async () => {
        return (await bench.inQube(qube, "ps -o stat,comm | grep '^D' | grep -v ps")) === ''
      })
      expect(complaintsOf(bench, qube)).toEqual([])
    }
  }

  it(`${CYCLES} attaches and detaches in a row`, async () => {
    for (let cycle = 1; cycle <= CYCLES; cycle++) {
      const frontend = cycle % 2 === 0 ? 'work' : 'vault'
      const attached = await bench.qusb('attach', 'sys-usb', '2-1', frontend, '--json')
      expect(attached.code, `cycle ${cycle}: ${attached.stderr}`).toBe(0)
      const detached = await bench.qusb('detach', 'sys-usb', '2-1', '--json')
      expect(detached.code, `cycle ${cycle}: ${detached.stderr}`).toBe(0)
    }
    for (const frontend of FRONTENDS) expect(await takenPorts(bench, frontend)).toEqual([])
    await expectClean(bench, '2-1', 'work')
    await expectQuiet()
  }, 900_000)

  it(`${PROCESSES} at once on ${devices.length} devices, some interrupted`, async () => {
    const seed = Date.now() % 100_000
    let state = seed
    const random = (below: number) => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
      return Math.floor((state / 2_147_483_648) * below)
    }
    const runs: Promise<Ran>[] = []
    for (let i = 0; i < PROCESSES; i++) {
      const { port } = devices[random(devices.length)] ?? { port: '2-1' }
      const frontend = FRONTENDS[random(FRONTENDS.length)] ?? 'work'
      const words = random(3) === 0 ? ['detach', 'sys-usb', port] : ['attach', 'sys-usb', port, frontend]
      const running = bench.start([...words, '--json'])
      runs.push(running.done)
      if (random(3) === 0) void sleep(random(6000)).then(() => running.child.kill('SIGINT'))
    }
    const ended = await Promise.all(runs)
    // Done, taken by another, refused, out of time, not done, or interrupted (before it could listen, too): but
    // never a fault of its own.
    for (const { code, signal, stderr } of ended)
      expect([0, 3, 5, 6, 7, 9, 10, 130, 'SIGINT'], `seed ${seed}: ${stderr}`).toContain(code ?? signal)
    expect(grants(bench), `seed ${seed}`).toEqual([])

    // The list and the kernels agree on who has what.
    const { json } = await bench.qusb('list', '--json')
    for (const frontend of FRONTENDS) {
      const listed = json.devices.filter((device: { attachedTo: string }) => device.attachedTo === frontend)
      expect(await importsOf(bench, frontend), `seed ${seed}`).toHaveLength(listed.length)
    }
    const all = await bench.qusb('detach', '--all', '--json')
    expect(all.code, `seed ${seed}: ${all.stderr}`).toBe(0)
    for (const frontend of FRONTENDS) {
      expect(await takenPorts(bench, frontend), `seed ${seed}`).toEqual([])
      for (const { port } of devices) await expectClean(bench, port, frontend)
    }
    await expectQuiet()
  }, 600_000)
})
