import { type Device, mayBeFree } from '../model/device.ts'
import type { QubeName } from '../model/names.ts'
import type { Sight } from '../passthrough/sight.ts'
import type { Decision } from '../rules/decide.ts'

/** One device from its plug to its unplug: what has been made of it. Times are Date.now(), ms. */
export interface Plugging {
  /** Tells it from another one at the same place. */
  id: number
  device: Device
  /** When it was first seen. */
  since: number
  state: /** Free, and the rules decide. */
    | { kind: 'open'; tries: number; notBefore: number }
    /** An attach or a question is under way. */
    | { kind: 'busy' }
    | Held
    /** Somebody had it who still runs: it was taken away, or the holder is on its way down. */
    | { kind: 'released'; holder: Held; until: number }
    /** Not touched again until it is plugged in anew; what failed also when the rules change, or a qube starts. */
    | { kind: 'closed'; why: 'by-hand' | 'said-no' | 'failed' }
}

export interface Held {
  kind: 'held'
  by: QubeName
  since: number
  /** The holder's domain: another one later is the holder's restart. */
  domain: number | null
  /** Seconds asleep since boot. */
  slept: number
}

/** What is seen around a device. */
export interface Surroundings {
  now: number
  sight: Pick<Sight, 'qubes'>
  /** Seconds asleep since boot. */
  slept: number
  /** Whether a `qusb detach` took it from its holder. */
  wasDetached(device: Device, held: Held): boolean
}

/** How long after a resume qubesd has the first turn, ms. */
export const RESUME_MS = 4000
/** How long a qube may be on its way down after its devices have gone, ms. */
const GOING_DOWN_MS = 30_000

/**
 * What a look makes of a device. Pure.
 * @param before what was made of it until now; undefined for one that was not there
 * @param id for a new one
 */
export function observe(
  before: Plugging | undefined,
  device: Device,
  id: number,
  around: Surroundings,
): Plugging {
  const open = (notBefore: number): Plugging['state'] => ({ kind: 'open', tries: 0, notBefore })
  if (before === undefined) {
    const state = device.attachedTo === null ? open(around.now) : holdBy(device.attachedTo, around)
    return { id, device, since: around.now, state }
  }
  const { state } = before
  const become = (next: Plugging['state']): Plugging => ({ ...before, device, state: next })
  if (state.kind === 'busy' || (device.attachedTo === null && !mayBeFree(device))) return become(state)
  if (device.attachedTo !== null) {
    return become(
      state.kind === 'held' && state.by === device.attachedTo ? state : holdBy(device.attachedTo, around),
    )
  }
  if (state.kind === 'held') {
    const reopened = reopenedAt(state, around)
    if (reopened !== undefined) return become(open(reopened))
    if (around.wasDetached(device, state)) return become({ kind: 'closed', why: 'by-hand' })
    // Another tool's detach, or the first sign of a qube that shuts down.
    return become({ kind: 'released', holder: state, until: around.now + GOING_DOWN_MS })
  }
  if (state.kind === 'released') {
    const reopened = reopenedAt(state.holder, around)
    if (reopened !== undefined) return become(open(reopened))
    // A detach is written down when it is over, which may be after the device was seen free.
    if (around.now >= state.until || around.wasDetached(device, state.holder)) {
      return become({ kind: 'closed', why: 'by-hand' })
    }
  }
  return become(state)
}

/** A holder that has the device from now on. */
export function holdBy(by: QubeName, { now, sight, slept }: Omit<Surroundings, 'wasDetached'>): Held {
  return { kind: 'held', by, since: now, domain: sight.qubes.get(by)?.domainId ?? null, slept }
}

/** From when on the rules decide again, where nobody took the device away: a suspend did, or its holder's end. */
function reopenedAt(held: Held, around: Surroundings): number | undefined {
  if (around.slept > held.slept) return around.now + RESUME_MS
  return hasGone(held, around) ? around.now : undefined
}

/** Whether the holder no longer runs, or has been started anew. */
function hasGone({ by, domain }: Held, { sight }: Surroundings): boolean {
  const qube = sight.qubes.get(by)
  if (qube === undefined || qube.state === 'halted' || qube.state === 'changing') return true
  return domain !== null && qube.domainId !== null && qube.domainId !== domain
}

/** What is to be done with a device now. */
export type Step =
  | { kind: 'nothing' }
  /** Not before this time. */
  | { kind: 'wait'; until: number }
  | { kind: 'ask' | 'attach'; decision: Won }

/** A decision with a rule and a frontend. */
export type Won = Decision & {
  rule: NonNullable<Decision['rule']>
  frontend: QubeName
}

/** When qubesd's own assignments have had their turn for a device and a frontend, by Date.now(). */
export type TurnOver = (plugging: Plugging, frontend: QubeName) => number

/** What the rules want for a device now. Pure. */
export function nextStep(
  plugging: Plugging,
  decision: Decision,
  around: Pick<Surroundings, 'now' | 'sight'>,
  turnOver: TurnOver,
): Step {
  const { state, device, since } = plugging
  const { rule, frontend, action, options } = decision
  if (state.kind === 'released') return { kind: 'wait', until: state.until }
  if (state.kind !== 'open' || !mayBeFree(device)) return { kind: 'nothing' }
  if (rule === null || frontend === null || (action !== 'allow' && action !== 'ask'))
    return { kind: 'nothing' }
  if (frontend === device.backend) return { kind: 'nothing' }
  const qube = around.sight.qubes.get(frontend)?.state ?? 'halted'
  // Until it runs there is nothing to wait for but its start, which is seen.
  if (qube !== 'running' && !(qube === 'halted' && options.start)) return { kind: 'nothing' }
  const until = Math.max(state.notBefore, since + options.delay * 1000, turnOver(plugging, frontend))
  if (until > around.now) return { kind: 'wait', until }
  return { kind: action === 'ask' ? 'ask' : 'attach', decision: { ...decision, rule, frontend } }
}

/** The longest pause between two tries, ms. */
const LONGEST_PAUSE_MS = 60_000

/** How long to wait after so many tries that failed, ms: 1 s, and twice as long each time. */
export function backOff(tries: number): number {
  return Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** Math.max(0, Math.min(tries, 10) - 1))
}
