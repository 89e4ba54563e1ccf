import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { FaultName } from '../../src/lab/faults.ts'
import { ATTACH_STEPS } from '../../src/lib/passthrough/steps.ts'
import { type Bench, expectClean, grants, type Ran, startBench } from './program.ts'

/** The steps before and in which a fault can strike: each of an attach, tried side by side, each on its own device. */
const frontendOf = (i: number): string => `work${i}`
const portOf = (i: number): string => `1-${i + 1}`

/** Which of them are attached once more in the end: the first, the last, and those struck in the call and after it. */
const AGAIN = [
  0,
  ATTACH_STEPS.indexOf('call-attach'),
  ATTACH_STEPS.indexOf('look-again'),
  ATTACH_STEPS.length - 1,
]

let bench: Bench | undefined

afterEach(async () => {
  await bench?.end()
  bench = undefined
}, 30_000)

async function startWide(): Promise<Bench> {
  return await startBench({
    qubes: [
      { name: 'sys-usb', backend: true },
      ...ATTACH_STEPS.map((_, i) => ({ name: frontendOf(i), vhciPorts: 2 })),
    ],
    devices: ATTACH_STEPS.map((_, i) => ({
      backend: 'sys-usb',
      port: portOf(i),
      kind: 'thermometer',
      serial: `T${i}`,
    })),
  })
}

interface Fault {
  name: FaultName
  /** Strikes the backend, or every frontend. */
  at: 'backend' | 'frontends' | 'dom0'
  value?: string
  /** What brings the qube back; else the fault is taken back. */
  heal?: FaultName
  /** The codes that tell the truth, whatever step was struck. */
  codes: readonly (keyof typeof CODES)[]
}

const CODES = {
  done: 0,
  NOT_FOUND: 3,
  CONFLICT: 5,
  REFUSED: 6,
  NOT_RUNNING: 7,
  NO_PROXY: 8,
  TIMEOUT: 9,
  ATTACH_FAILED: 10,
} as const

const FAULTS: Fault[] = [
  {
    name: 'killed',
    at: 'backend',
    heal: 'start',
    codes: ['NOT_RUNNING', 'NOT_FOUND', 'ATTACH_FAILED', 'REFUSED'],
  },
  { name: 'killed', at: 'frontends', heal: 'start', codes: ['NOT_RUNNING', 'ATTACH_FAILED', 'TIMEOUT'] },
  { name: 'halt', at: 'frontends', heal: 'start', codes: ['NOT_RUNNING', 'ATTACH_FAILED', 'TIMEOUT'] },
  { name: 'agent-frozen', at: 'backend', codes: ['NOT_RUNNING', 'TIMEOUT', 'ATTACH_FAILED', 'REFUSED'] },
  { name: 'agent-frozen', at: 'frontends', codes: ['done', 'NOT_RUNNING', 'TIMEOUT'] },
  { name: 'late-answer', at: 'backend', value: '1', codes: ['done'] },
  { name: 'slow-attach', at: 'backend', value: '1', codes: ['done'] },
  { name: 'attach-hangs', at: 'backend', codes: ['done', 'TIMEOUT'] },
  { name: 'service-missing', at: 'backend', codes: ['done', 'NO_PROXY', 'ATTACH_FAILED'] },
  { name: 'service-missing', at: 'frontends', codes: ['done', 'NO_PROXY'] },
  { name: 'policy-refuses', at: 'dom0', codes: ['done', 'REFUSED'] },
  { name: 'no-free-port', at: 'frontends', codes: ['done', 'ATTACH_FAILED'] },
  { name: 'link-closed', at: 'backend', codes: ['done', 'ATTACH_FAILED'] },
  { name: 'link-stalled', at: 'backend', codes: ['done', 'ATTACH_FAILED', 'TIMEOUT'] },
]

async function strike(on: Bench, fault: Fault, name: FaultName, off: boolean): Promise<void> {
  const options = { off, ...(fault.value === undefined || off ? {} : { value: fault.value }) }
  if (fault.at === 'dom0') return await on.lab.fault(name, null, options)
  const qubes = fault.at === 'backend' ? ['sys-usb'] : ATTACH_STEPS.map((_, i) => frontendOf(i))
  for (const qube of qubes) await on.lab.fault(name, qube, options)
}

const isOnce = (name: FaultName): boolean => ['link-closed', 'killed', 'halt'].includes(name)

/** Whatever was told before must have been true: success is an attachment, failure is none. */
async function expectTruth(on: Bench, fault: Fault, ended: readonly Ran[]): Promise<void> {
  const { json, stderr } = await on.qusb('list', '--json')
  expect(grants(on)).toEqual([])
  const state = JSON.parse(readFileSync(join(on.lab.dir, 'dom0/var/lib/qusb/state.json'), 'utf8'))
  for (const device of json.devices) {
    const record = state.attachments.find((each: { port: string }) => each.port === device.port)
    expect(device, JSON.stringify(json.warnings)).toMatchObject({ drift: null })
    expect(record?.frontend ?? null, `${device.port}: ${stderr}`).toBe(device.attachedTo)
  }
  // What cut the link or ended a qube may have struck after the success was told.
  if (isOnce(fault.name) || fault.at === 'frontends') return
  ended.forEach((ran, i) => {
    const device = json.devices.find((each: { port: string }) => each.port === portOf(i))
    if (ran.code !== 0)
      expect(device, `${ATTACH_STEPS[i]}: ${ran.stderr}`).toMatchObject({ attachedTo: null })
  })
}

describe.each(FAULTS)('$name at the $at', (fault) => {
  it('at every step of an attach ends in time, with the right code, and the truth after it', {
    timeout: 150_000,
  }, async () => {
    const on = await startWide()
    bench = on
    const stopped = await Promise.all(
      ATTACH_STEPS.map(async (step, i) => {
        const running = on.start(['attach', 'sys-usb', portOf(i), frontendOf(i), '--timeout', '4'], {
          faultPoint: step,
        })
        await running.said(`qusb-fault-point ${step}\n`)
        return running
      }),
    )
    await strike(on, fault, fault.name, false)
    const began = Date.now()
    for (const running of stopped) running.child.kill('SIGUSR2')
    const ended = await Promise.all(stopped.map((running) => running.done))
    // The limit itself, 7 s to settle, and what looking and undoing on a frozen side costs.
    expect(Date.now() - began).toBeLessThan(60_000)
    const allowed = fault.codes.map((name) => CODES[name])
    ended.forEach((ran, i) => {
      // What strikes after the last look is for the next one to tell.
      const late = ATTACH_STEPS[i] === 'record' ? [0] : []
      expect([...allowed, ...late], `${ATTACH_STEPS[i]}: ${ran.stderr}`).toContain(ran.code)
    })

    if (fault.heal !== undefined) await strike(on, fault, fault.heal, false)
    else if (!isOnce(fault.name)) await strike(on, fault, fault.name, true)
    await expectTruth(on, fault, ended)
    expect(await on.qusb('detach', '--all')).toMatchObject({ code: 0 })
    const again = await Promise.all(
      AGAIN.map(async (i) => await on.qusb('attach', 'sys-usb', portOf(i), frontendOf(i), '--json')),
    )
    for (const ran of again) expect(ran, ran.stderr).toMatchObject({ code: 0, json: { changed: true } })
    expect(await on.qusb('detach', '--all')).toMatchObject({ code: 0 })
    for (const i of AGAIN) await expectClean(on, portOf(i), frontendOf(i))
  })
})
