import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ATTACH_STEPS, DETACH_STEPS, type Step } from '../../src/lib/passthrough/steps.ts'
import { attachAll, type Bench, expectClean, grants, type Running, startBench, until } from './program.ts'

/**
 * Each case has its own device and frontend, so that all the steps of a transaction are tried side by side.
 * The cases come from the transaction's own list of steps: a new step is tried without a word here.
 */
const COUNT = Math.max(ATTACH_STEPS.length, DETACH_STEPS.length)
const frontendOf = (i: number): string => `work${i}`
const portOf = (i: number): string => `1-${i + 1}`

const places = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    backend: 'sys-usb',
    port: portOf(i),
    frontend: frontendOf(i),
  }))

let bench: Bench

beforeAll(async () => {
  bench = await startBench({
    qubes: [
      { name: 'sys-usb', backend: true },
      ...Array.from({ length: COUNT }, (_, i) => ({ name: frontendOf(i), vhciPorts: 2 })),
    ],
    devices: Array.from({ length: COUNT }, (_, i) => ({
      backend: 'sys-usb',
      port: portOf(i),
      kind: 'thermometer',
      serial: `T${i}`,
    })),
  })
}, 60_000)
afterAll(async () => await bench.end())

const ENDS: [NodeJS.Signals, number | null][] = [
  ['SIGKILL', null],
  ['SIGINT', 130],
  ['SIGTERM', 143],
]

/** How each signal's cases name the device: by what it is, only a look tells its place, and the locks come after it. */
const wordOf = (signal: NodeJS.Signals, i: number): string =>
  signal === 'SIGINT' ? `08f7:0002@T${i}` : portOf(i)

async function stopAt(step: Step, args: string[]): Promise<Running> {
  const running = bench.start(args, { faultPoint: step })
  await running.said(`qusb-fault-point ${step}\n`)
  return running
}

async function endAll(
  running: readonly Running[],
  signal: NodeJS.Signals,
  code: number | null,
): Promise<void> {
  for (const each of running) each.child.kill(signal)
  for (const ran of await Promise.all(running.map((each) => each.done))) {
    expect(ran.code, ran.stderr).toBe(code)
    if (code === null) expect(ran.signal).toBe(signal)
  }
}

/** What the store holds: settled, it must be what the backend says. */
function records(): { port: string; frontend: string; phase: string }[] {
  return JSON.parse(readFileSync(join(bench.lab.dir, 'dom0/var/lib/qusb/state.json'), 'utf8')).attachments
}

/** The next command, whichever it is, has settled everything; then each device can be attached and detached again. */
async function expectSettled(count: number): Promise<void> {
  const { code, json, stderr } = await bench.qusb('list', '--json')
  expect(code, stderr).toBe(0)
  expect(grants(bench)).toEqual([])
  const attached = json.devices.filter((device: { attachedTo: string | null }) => device.attachedTo !== null)
  for (const device of json.devices)
    expect(device, JSON.stringify(json.warnings)).toMatchObject({ drift: null })
  expect(
    records()
      .map((record) => `${record.port} ${record.frontend} ${record.phase}`)
      .sort(),
  ).toEqual(
    attached
      .map((device: { port: string; attachedTo: string }) => `${device.port} ${device.attachedTo} attached`)
      .sort(),
  )
  expect(await bench.qusb('detach', '--all')).toMatchObject({ code: 0 })
  expect(records()).toEqual([])
  await attachAll(bench, places(count))
  expect(await bench.qusb('detach', '--all')).toMatchObject({ code: 0 })
  for (let i = 0; i < count; i++) await expectClean(bench, portOf(i), frontendOf(i))
}

/** One case that failed must not fail the next ones. */
beforeEach(async () => {
  expect(await bench.qusb('detach', '--all')).toMatchObject({ code: 0 })
}, 60_000)

describe.each(ENDS)('%s', (signal, code) => {
  it(`at every step of an attach: ${ATTACH_STEPS.join(', ')}`, { timeout: 120_000 }, async () => {
    const running = await Promise.all(
      ATTACH_STEPS.map(
        async (step, i) => await stopAt(step, ['attach', 'sys-usb', wordOf(signal, i), frontendOf(i)]),
      ),
    )
    await endAll(running, signal, code)
    if (code !== null) {
      // What was interrupted is undone already, before any other command.
      expect(grants(bench)).toEqual([])
      expect(records()).toEqual([])
    }
    await expectSettled(ATTACH_STEPS.length)
  })

  it(`at every step of a detach: ${DETACH_STEPS.join(', ')}`, { timeout: 120_000 }, async () => {
    await attachAll(bench, places(DETACH_STEPS.length))
    const running = await Promise.all(
      DETACH_STEPS.map(async (step, i) => await stopAt(step, ['detach', 'sys-usb', wordOf(signal, i)])),
    )
    await endAll(running, signal, code)
    await expectSettled(DETACH_STEPS.length)
  })
})

it('a second signal ends it at once, says so, and the next command settles it', {
  timeout: 60_000,
}, async () => {
  await bench.lab.fault('attach-hangs', 'sys-usb')
  const running = bench.start(['attach', 'sys-usb', portOf(0), frontendOf(0)])
  await until('a grant', () => grants(bench).length > 0)
  expect(records()).toMatchObject([{ phase: 'attaching' }])
  running.child.kill('SIGINT')
  await running.said('interrupted')
  running.child.kill('SIGINT')
  const ran = await running.done
  expect(ran.code).toBe(130)
  expect(ran.stderr).toContain('NOT been undone')
  await bench.lab.fault('attach-hangs', 'sys-usb', { off: true })
  await expectSettled(1)
})

it('an attach goes by what is there when it has settled what was open', { timeout: 60_000 }, async () => {
  await attachAll(bench, places(1))
  const detaching = await stopAt('call-detach', ['detach', 'sys-usb', portOf(0)])
  await endAll([detaching], 'SIGKILL', null)
  expect(records()).toMatchObject([{ phase: 'detaching' }])
  // Its first look, which the settling overtakes, still sees another qube have the device.
  expect(await bench.qusb('attach', 'sys-usb', portOf(0), frontendOf(1))).toMatchObject({ code: 0 })
  expect(records()).toMatchObject([{ frontend: frontendOf(1), phase: 'attached' }])
})
