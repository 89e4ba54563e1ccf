import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  backOff,
  type Held,
  holdBy,
  nextStep,
  observe,
  type Plugging,
  RESUME_MS,
} from '../../../src/lib/auto/plugging.ts'
import type { Device } from '../../../src/lib/model/device.ts'
import type { QubeName } from '../../../src/lib/model/names.ts'
import type { Sight } from '../../../src/lib/passthrough/sight.ts'
import type { Decision } from '../../../src/lib/rules/decide.ts'
import type { RuleOptions } from '../../../src/lib/rules/options.ts'
import { DEVICE, decisionFor } from './samples.ts'

const WORK = 'work' as QubeName
const VAULT = 'vault' as QubeName
const BACKEND = 'sys-usb' as QubeName

const device = (attachedTo: QubeName | null, more: Partial<Device> = {}): Device => ({
  ...DEVICE,
  state: attachedTo === null ? 'free' : 'attached',
  attachedTo,
  ...more,
})

type State = 'running' | 'paused' | 'halted' | 'changing'
const sight = (qubes: Partial<Record<string, [State, number | null]>>): Pick<Sight, 'qubes'> => ({
  qubes: new Map(
    Object.entries(qubes).flatMap(([name, entry]) =>
      entry === undefined ? [] : [[name as QubeName, { state: entry[0], domainId: entry[1] }]],
    ),
  ),
})

const around = (more: Partial<Parameters<typeof observe>[3]> = {}): Parameters<typeof observe>[3] => ({
  now: 1000,
  slept: 0,
  sight: sight({ work: ['running', 7], vault: ['running', 8] }),
  wasDetached: () => false,
  ...more,
})

const held = (by: QubeName = WORK): Plugging => ({
  id: 1,
  device: device(by),
  since: 0,
  state: holdBy(by, around({ now: 0 })),
})

describe('what a look makes of a device', () => {
  it('is open when it comes, and held when somebody has it', () => {
    expect(observe(undefined, device(null), 4, around())).toMatchObject({
      id: 4,
      since: 1000,
      state: { kind: 'open', tries: 0, notBefore: 1000 },
    })
    expect(observe(undefined, device(WORK), 4, around()).state).toMatchObject({
      kind: 'held',
      by: 'work',
      domain: 7,
    })
  })

  it.each<[string, Partial<Parameters<typeof observe>[3]>, Plugging['state']]>([
    ['qusb detached it', { wasDetached: () => true }, { kind: 'closed', why: 'by-hand' }],
    [
      'its holder was restarted',
      { sight: sight({ work: ['running', 9] }) },
      { kind: 'open', tries: 0, notBefore: 1000 },
    ],
    [
      'its holder is halted',
      { sight: sight({ work: ['halted', null] }) },
      { kind: 'open', tries: 0, notBefore: 1000 },
    ],
    ['its holder is gone', { sight: sight({}) }, { kind: 'open', tries: 0, notBefore: 1000 }],
    [
      'the machine slept',
      { slept: 5, wasDetached: () => true },
      { kind: 'open', tries: 0, notBefore: 1000 + RESUME_MS },
    ],
    [
      'another tool took it, or its holder is about to halt',
      {},
      { kind: 'released', holder: held().state as Held, until: 31_000 },
    ],
  ])('is free again: %s', (_, more, state) => {
    expect(observe(held(), device(null), 2, around(more)).state).toEqual(state)
  })

  it('waits whether the holder halts, and then takes it for a detach by hand', () => {
    const released = observe(held(), device(null), 2, around())
    expect(observe(released, device(null), 2, around({ now: 5000 })).state.kind).toBe('released')
    const halted = { now: 5000, sight: sight({ work: ['halted', null] }) }
    expect(observe(released, device(null), 2, around(halted)).state.kind).toBe('open')
    expect(observe(released, device(null), 2, around({ now: 5000, slept: 9 })).state.kind).toBe('open')
    const detached = { now: 5000, wasDetached: () => true }
    expect(observe(released, device(null), 2, around(detached)).state.kind).toBe('closed')
    expect(observe(released, device(null), 2, around({ now: 31_000 })).state).toEqual({
      kind: 'closed',
      why: 'by-hand',
    })
  })

  it('changes nothing while work is under way, or the backend does not know who has it', () => {
    const busy: Plugging = { ...held(), state: { kind: 'busy' } }
    expect(observe(busy, device(null), 2, around()).state).toEqual({ kind: 'busy' })
    const unknown = device(null, { state: 'unknown' })
    expect(observe(held(), unknown, 2, around({ wasDetached: () => true })).state).toEqual(held().state)
  })

  it('what is closed stays closed, whatever happens, until somebody attaches it', () => {
    const closed: Plugging = { ...held(), state: { kind: 'closed', why: 'by-hand' } }
    fc.assert(
      fc.property(fc.nat(), fc.nat(1000), fc.boolean(), (now, slept, was) => {
        const seen = observe(closed, device(null), 2, around({ now, slept, wasDetached: () => was }))
        expect(seen.state).toEqual(closed.state)
      }),
    )
    expect(observe(closed, device(VAULT), 2, around()).state).toMatchObject({ kind: 'held', by: 'vault' })
  })
})

const decision = (
  action: Decision['action'],
  frontend: QubeName | null = WORK,
  options: Partial<RuleOptions> = {},
): Decision => decisionFor(action, frontend, options)

const open = (more: Partial<Plugging> = {}): Plugging => ({
  id: 1,
  device: device(null),
  since: 1000,
  state: { kind: 'open', tries: 0, notBefore: 1000 },
  ...more,
})

describe('what the rules want with a device', () => {
  const at = (now = 1000, qubes = sight({ work: ['running', 7] })) => ({ now, sight: qubes })
  const atOnce = () => 0

  it.each<[string, Plugging, Decision, ReturnType<typeof at>, string]>([
    ['a rule allows it', open(), decision('allow'), at(), 'attach'],
    ['a rule asks', open(), decision('ask'), at(), 'ask'],
    ['a rule denies it', open(), decision('deny', null), at(), 'nothing'],
    ['no rule is about it', open(), { ...decision('none', null), rule: null }, at(), 'nothing'],
    ['somebody has it', held(), decision('allow'), at(), 'nothing'],
    [
      'it was detached by hand',
      open({ state: { kind: 'closed', why: 'by-hand' } }),
      decision('allow'),
      at(),
      'nothing',
    ],
    ['work is under way', open({ state: { kind: 'busy' } }), decision('allow'), at(), 'nothing'],
    [
      'the frontend is halted',
      open(),
      decision('allow'),
      at(1000, sight({ work: ['halted', null] })),
      'nothing',
    ],
    ['the frontend is not known', open(), decision('allow'), at(1000, sight({})), 'nothing'],
    [
      'the frontend is paused',
      open(),
      decision('allow', WORK, { start: true }),
      at(1000, sight({ work: ['paused', 7] })),
      'nothing',
    ],
    [
      'the frontend may be started',
      open(),
      decision('allow', WORK, { start: true }),
      at(1000, sight({ work: ['halted', null] })),
      'attach',
    ],
    [
      'the frontend is its own backend',
      open(),
      decision('allow', BACKEND),
      at(1000, sight({ 'sys-usb': ['running', 1] })),
      'nothing',
    ],
  ])('%s', (_, plugging, wanted, when, kind) => {
    expect(nextStep(plugging, wanted, when, atOnce).kind).toBe(kind)
  })

  it('waits for the delay, for the pause between tries, and for the turn of qubesd, whichever is last', () => {
    fc.assert(
      fc.property(
        fc.nat(60),
        fc.nat(60_000),
        fc.nat(60_000),
        fc.nat(120_000),
        (delay, notBefore, turn, now) => {
          const plugging = open({ since: 0, state: { kind: 'open', tries: 1, notBefore } })
          const step = nextStep(plugging, decision('allow', WORK, { delay }), at(now), () => turn)
          const due = Math.max(delay * 1000, notBefore, turn)
          expect(step).toMatchObject(now < due ? { kind: 'wait', until: due } : { kind: 'attach' })
        },
      ),
    )
  })

  it('pauses longer after each try that failed, up to a minute', () => {
    expect([1, 2, 3, 4].map(backOff)).toEqual([1000, 2000, 4000, 8000])
    expect(backOff(1000)).toBe(60_000)
  })
})
