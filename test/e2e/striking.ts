import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { detach } from '../../src/index.ts'
import { FAULTS, type FaultKind } from '../../src/lab/faults.ts'
import { EXIT_CODES } from '../../src/lib/errors.ts'
import { ATTACH_STEPS, DETACH_STEPS } from '../../src/lib/passthrough/steps.ts'
import { attachAll, type Bench, fewAtATime, grants, type Ran, type Running, startBench } from './program.ts'
import type { Blow, Code, Strike } from './strikes.ts'

/** One qusb that is struck at one step, at a device and a frontend of its own. */
interface Target {
  doing: 'attach' | 'detach'
  step: string
  backend: string
  port: string
  frontend: string
}

/** Every step of both transactions, from their own lists. A backend each: the kernel exports no more than 16 ports. */
const TARGETS: readonly Target[] = [
  ...targetsOf('attach', ATTACH_STEPS, 'sys-usb', 'to'),
  ...targetsOf('detach', DETACH_STEPS, 'sys-usb-two', 'from'),
]

function targetsOf(
  doing: Target['doing'],
  steps: readonly string[],
  backend: string,
  frontends: string,
): Target[] {
  return steps.map((step, i) => ({ doing, step, backend, port: `1-${i + 1}`, frontend: `${frontends}${i}` }))
}

const BACKENDS = ['sys-usb', 'sys-usb-two']
const deviceOf = ({ backend, port }: Target): string => `${backend}:${port}`

async function startWide(): Promise<Bench> {
  const bench = await startBench({
    qubes: [
      ...BACKENDS.map((name) => ({ name, backend: true })),
      ...TARGETS.map(({ frontend }) => ({ name: frontend, vhciPorts: 2 })),
    ],
    devices: TARGETS.map(({ backend, port }) => ({ backend, port, kind: 'thermometer', serial: `T${port}` })),
  })
  await attachAll(
    bench,
    TARGETS.filter(({ doing }) => doing === 'detach'),
  )
  return bench
}

let ready: Bench | undefined
let used: Bench | undefined

/** A lab whose devices of the detaches are attached: that of the strike before, where it left all as it should. */
async function takeBench(): Promise<Bench> {
  used = ready ?? (await startWide())
  ready = undefined
  return used
}

async function endUsed(): Promise<void> {
  for (const one of running) one.child.kill('SIGKILL')
  running = []
  if (ready === undefined) await used?.end()
  used = undefined
}

async function endReady(): Promise<void> {
  await ready?.end()
  ready = undefined
}

/** One blow on those that are struck, or its end. */
async function apply(
  on: Bench,
  { at, value }: Blow,
  name: Blow['name'],
  struck: readonly Target[],
  off = false,
) {
  if (name === 'unplug' || name === 'replug') return await pull(on, name, struck, off)
  const options = { off, ...(value === undefined ? {} : { value }) }
  if (at === 'dom0') return await on.lab.fault(name, null, options)
  const qubes = struck.map(({ backend, frontend }) => (at === 'backends' ? backend : frontend))
  for (const qube of new Set(qubes)) await on.lab.fault(name, qube, options)
}

async function pull(on: Bench, name: 'unplug' | 'replug', struck: readonly Target[], back: boolean) {
  for (const { backend, port } of struck) {
    if (!back) await on.lab.unplug(backend, port)
    if (back || name === 'replug')
      await on.lab.plug({ backend, port, kind: 'thermometer', serial: `T${port}` })
  }
}

async function heal(on: Bench, { blows, heal: how }: Strike, struck: readonly Target[]): Promise<void> {
  for (const blow of blows) {
    const isOnce = blow.name === 'replug' || (FAULTS as Record<string, FaultKind>)[blow.name]?.once === true
    if (how !== undefined) await apply(on, blow, how, struck)
    else if (!isOnce) await apply(on, blow, blow.name, struck, true)
  }
}

/** Those that a strike has stopped: one that fails leaves none of them. */
let running: Running[] = []

/** Stops a qusb at its step. */
async function stopAt(on: Bench, target: Target): Promise<[Target, Running]> {
  const { doing, step, backend, port, frontend } = target
  const limit = doing === 'attach' ? ['--timeout', '4'] : []
  const one = on.start([doing, backend, port, frontend, ...limit, '--json'], { faultPoint: step })
  running.push(one)
  await one.said(`qusb-fault-point ${step}\n`)
  return [target, one]
}

/** Stops all of them. A grant ends two seconds after the limit of its call: who stops with one is the last to begin. */
async function stopAll(on: Bench, struck: readonly Target[]): Promise<[Target, Running][]> {
  const hasGrant = ({ step }: Target): boolean => step === 'call-attach'
  const inTurn = [...struck.filter((target) => !hasGrant(target)), ...struck.filter(hasGrant)]
  return await fewAtATime(inTurn, async (target) => await stopAt(on, target))
}

interface Ended extends Target {
  ran: Ran
}

/** A test for each of the strikes; one lab is used for as long as it is left as it should be. */
export function tryEach(strikes: readonly Strike[]): void {
  afterEach(async () => await endUsed(), 30_000)
  afterAll(async () => await endReady(), 30_000)
  it.each(
    strikes.map(
      (strike) => [strike.blows.map(({ name, at }) => `${name} at the ${at}`).join(', '), strike] as const,
    ),
  )('%s', { timeout: 150_000 }, async (_, strike) => await strikeAll(strike))
}

/**
 * Strikes all steps while a qusb is stopped at each, lets them go on, and looks at what came of it: the code of each, in
 * time; then, after the next command, no grant, no lock, a store that is the truth, and what was told was true; and both
 * sides are clean and the devices can be attached again.
 */
async function strikeAll(strike: Strike): Promise<void> {
  const on = await takeBench()
  const struck = TARGETS.filter(({ doing }) => strike[doing] !== undefined)
  const stopped = await stopAll(on, struck)
  for (const blow of strike.blows) await apply(on, blow, blow.name, struck)
  const began = Date.now()
  for (const [, one] of stopped) one.child.kill('SIGUSR2')
  const ended = await Promise.all(
    stopped.map(async ([target, one]): Promise<Ended> => ({ ...target, ran: await one.done })),
  )
  // The limit itself, 7 s to settle, and what looking and undoing on a frozen side costs.
  expect(Date.now() - began).toBeLessThan(60_000)
  await heal(on, strike, struck)
  const held = await expectTruth(on, strike, ended)
  expect(ended.flatMap((one) => whyWrong(strike, one))).toEqual([])

  // One by one: that gives back, too, what an attachment that ended by itself has left without its driver.
  const isLeft = (target: Target): boolean =>
    struck.includes(target) && (held.has(target) || driverOf(on, target) !== 'usb')
  await detachAll(on, TARGETS.filter(isLeft))
  expectClean(on, struck)
  const again = struck.filter(({ doing, step }) => doing === 'detach' || AGAIN.includes(step))
  await attachAll(on, again)
  await detachAll(
    on,
    again.filter(({ doing }) => doing === 'attach'),
  )
  ready = on
}

/** Which devices of attaches are attached once more: those struck first, in the call, and last. */
const AGAIN = ['survey', 'call-attach', 'look-again', 'record']

function allowed({ attach: attaching, detach: detaching }: Strike, { doing, step }: Target): readonly Code[] {
  if (doing === 'detach') {
    if (['lock-device', 'survey'].includes(step)) return detaching?.early ?? []
    // Who waited for the release has given it back in the same call, and has seen so, where that was done at once.
    if (step === 'give-back') return ['done', ...(detaching?.open ?? [])]
    return ['forget-import', 'record'].includes(step) ? ['done'] : (detaching?.open ?? [])
  }
  if (step === 'record') return ['done']
  if (['revoke', 'look-again'].includes(step)) return attaching.late
  const isCall = ['clear-stale', 'write-intent', 'grant', 'call-attach'].includes(step)
  return isCall ? attaching.call : attaching.early
}

/** @returns what is wrong with the code, in words */
function whyWrong(strike: Strike, one: Ended): string[] {
  const codes = allowed(strike, one)
  const { code, stdout, stderr } = one.ran
  if (codes.some((name) => (name === 'done' ? 0 : EXIT_CODES[name]) === code)) return []
  return [`${one.doing} at ${one.step}: ${code} instead of ${codes.join(' or ')}: ${stdout}${stderr}`]
}

/** What ends an attachment that was told before: then its success was true when it was told. */
const ENDS: readonly Blow['name'][] = ['killed', 'halt', 'restart', 'link-closed', 'unplug', 'replug']

/**
 * After the next command, whichever it is: the store is what the backends say, and what was told is true.
 * @returns those that are attached
 */
async function expectTruth(on: Bench, strike: Strike, ended: readonly Ended[]): Promise<Set<Target>> {
  const listed = await on.qusb('list', '--json')
  expect(listed.code, listed.stderr).toBe(0)
  expect(grants(on)).toEqual([])
  expect(locks(on)).toEqual([])
  const held = new Set<Target>()
  for (const target of TARGETS) {
    const one = ended.find(({ doing, step }) => doing === target.doing && step === target.step)
    const told = `${target.doing} at ${target.step}: ${one?.ran.stdout}${JSON.stringify(listed.json.warnings)}`
    const device = listed.json.devices.find(
      ({ backend, port }: Target) => backend === target.backend && port === target.port,
    )
    expect(device, told).toMatchObject({ drift: null })
    if (device.attachedTo !== null) {
      expect(device.attachedTo, told).toBe(target.frontend)
      held.add(target)
    }
    if (one === undefined) continue
    const succeeded = one.ran.code === 0
    const mayHaveEnded = strike.blows.some(({ name }) => ENDS.includes(name))
    if (target.doing === 'attach' && !(succeeded && mayHaveEnded)) {
      expect(held.has(target), told).toBe(succeeded)
    }
    if (target.doing === 'detach' && succeeded) expect(held.has(target), told).toBe(false)
  }
  const state = readFileSync(join(on.lab.dir, 'dom0/var/lib/qusb/state.json'), 'utf8')
  const wordsOf = (at: { backend: string; port: string; frontend: string }, phase: string): string =>
    `${at.backend}:${at.port} ${at.frontend} ${phase}`
  expect(
    JSON.parse(state)
      .attachments.map((record: Target & { phase: string }) => wordsOf(record, record.phase))
      .sort(),
  ).toEqual([...held].map((target) => wordsOf(target, 'attached')).sort())
  return held
}

/** Lock files go with their locks. */
function locks(on: Bench): string[] {
  const directory = join(on.lab.dir, 'dom0/run/qusb/locks')
  return existsSync(directory) ? readdirSync(directory) : []
}

async function detachAll(on: Bench, targets: readonly Target[]): Promise<void> {
  await fewAtATime(
    targets,
    async (target) => await detach({ device: deviceOf(target) }, { site: on.lab.site }),
  )
}

const inQube = (on: Bench, qube: string, path: string): string => join(on.lab.dir, 'qubes', qube, path)

function driverOf(on: Bench, { backend, port }: Target): string | undefined {
  return readlinkSync(inQube(on, backend, `sys/bus/usb/devices/${port}/driver`))
    .split('/')
    .at(-1)
}

/** Both sides as before any attach, by the files of the lab itself. */
function expectClean(on: Bench, targets: readonly Target[]): void {
  const wrong = targets.flatMap((target) => {
    const { frontend } = target
    const states = readdirSync(inQube(on, frontend, 'var/run/qubes')).filter((name) =>
      name.endsWith('.state'),
    )
    const table = readFileSync(inQube(on, frontend, 'sys/devices/platform/vhci_hcd.0/status'), 'utf8')
    const used = table
      .split('\n')
      .filter((row) => /^(hs|ss)/.test(row) && row.trim().split(/\s+/)[2] !== '004')
    const driver = driverOf(on, target)
    return [
      ...(driver === 'usb' ? [] : [`${deviceOf(target)} is on ${driver}`]),
      ...states.map((name) => `${frontend} has ${name}`),
      ...used.map((row) => `${frontend} uses ${row}`),
    ]
  })
  expect(wrong).toEqual([])
}
