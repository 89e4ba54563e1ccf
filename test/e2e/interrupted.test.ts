import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { attach } from '../../src/index.ts'
import { type Bench, fewAtATime, grants, type Ran, type Running, startBench } from './program.ts'

/** The most steps that a move takes: each is tried with a device and two frontends of its own. */
const MOST = 24
const BACKENDS = ['sys-usb', 'sys-usb-two']

interface Target {
  backend: string
  port: string
  from: string
  to: string
}

const TARGETS: readonly Target[] = Array.from({ length: MOST }, (_, i) => ({
  backend: BACKENDS[i % BACKENDS.length] as string,
  port: `1-${Math.floor(i / BACKENDS.length) + 1}`,
  from: `from${i}`,
  to: `to${i}`,
}))

let bench: Bench
/** One case that failed leaves none that waits. */
let running: Running[] = []

beforeAll(async () => {
  bench = await startBench({
    qubes: [
      ...BACKENDS.map((name) => ({ name, backend: true })),
      ...TARGETS.flatMap(({ from, to }) => [from, to]).map((name) => ({ name, vhciPorts: 2 })),
    ],
    // What is tried here does not ask it, and it takes its time.
    qubesd: 'none',
    devices: TARGETS.map(({ backend, port }, i) => ({ backend, port, kind: 'thermometer', serial: `T${i}` })),
  })
}, 120_000)
afterAll(async () => await bench?.end(), 30_000)
afterEach(async () => {
  for (const one of running) one.child.kill('SIGKILL')
  running = []
  expect(await bench.qusb('detach', '--all')).toMatchObject({ code: 0 })
}, 60_000)

const moveOf = ({ backend, port, to }: Target): string[] => ['move', backend, port, to, '--timeout', '4']

/** Gives every device to the first of its two frontends: by the library, as many programs would take long. */
async function attachAll(): Promise<void> {
  await fewAtATime(
    TARGETS,
    async ({ backend, port, from }) => await attach(`${backend}:${port}`, from, { site: bench.lab.site }),
  )
}

/** Every step that the program comes by, each with its number where it comes there again: as it says itself. */
async function stepsOf(args: string[]): Promise<string[]> {
  const { code, stderr } = await bench.start(args, { faultPoint: '*' }).done
  expect(code, stderr).toBe(0)
  return [...stderr.matchAll(/^qusb-fault-point (.+)$/gm)].map(([, step]) => step as string)
}

/** Stops a move at each of the steps, and interrupts all of them. */
async function interruptAll(steps: readonly string[]): Promise<Ran[]> {
  expect(steps.length).toBeLessThanOrEqual(MOST)
  // A grant ends two seconds after the limit of its call: who stops with one is the last to begin.
  const hasGrant = (step: string): boolean => step.startsWith('call-attach')
  const inTurn = [...steps.filter((step) => !hasGrant(step)), ...steps.filter(hasGrant)]
  const stopped = await fewAtATime(inTurn, async (step) => {
    const one = bench.start(moveOf(TARGETS[steps.indexOf(step)] as Target), { faultPoint: step })
    running.push(one)
    await one.said(`qusb-fault-point ${step.split('#')[0]}\n`)
    return { step, one }
  })
  for (const { one } of stopped) one.child.kill('SIGINT')
  const ended: Ran[] = []
  for (const { step, one } of stopped) ended[steps.indexOf(step)] = await one.done
  return ended
}

/** No grant, no lock, and a store that says what the backends say, before any other command. @returns who has each */
async function expectTruth(): Promise<(string | null)[]> {
  expect(grants(bench)).toEqual([])
  expect(readdirSync(join(bench.lab.dir, 'dom0/run/qusb/locks'))).toEqual([])
  const records: (Target & { frontend: string; phase: string })[] = JSON.parse(
    readFileSync(join(bench.lab.dir, 'dom0/var/lib/qusb/state.json'), 'utf8'),
  ).attachments
  const { json } = await bench.qusb('list', '--json')
  expect(json.warnings).toEqual([])
  return TARGETS.map(({ backend, port }) => {
    const isHere = (at: { backend: string; port: string }): boolean =>
      at.backend === backend && at.port === port
    const device = json.devices.find(isHere)
    const record = records.find(isHere)
    expect(record?.phase ?? 'attached').toBe('attached')
    expect(device.attachedTo).toBe(record?.frontend ?? null)
    return device.attachedTo
  })
}

/** The steps of a move, which gives the device back to whom it had. */
async function stepsOfMove(): Promise<string[]> {
  const [first] = TARGETS as [Target]
  const steps = await stepsOf(moveOf(first))
  expect(steps).toEqual(expect.arrayContaining(['give-back#1', 'survey#3', 'call-attach#1', 'record#2']))
  expect(await bench.qusb('move', first.backend, first.port, first.from)).toMatchObject({ code: 0 })
  return steps
}

it('Ctrl-C at every step of a move: the device is where it was', { timeout: 240_000 }, async () => {
  await attachAll()
  const steps = await stepsOfMove()
  const ended = await interruptAll(steps)
  const holders = await expectTruth()
  for (const [i, ran] of ended.entries()) {
    expect(ran.code, `${steps[i]}: ${ran.stderr}`).toBe(130)
    expect(holders[i], `${steps[i]}: ${ran.stderr}`).toBe(`from${i}`)
  }
})
