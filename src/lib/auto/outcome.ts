import { QusbError } from '../errors.ts'
import { describeDevice } from '../passthrough/choose.ts'
import type { Warning, WatchEvent } from '../passthrough/results.ts'
import { SwappedError } from '../passthrough/verify.ts'
import { ruleLabel } from '../rules/rule.ts'
import { backOff, type Plugging, type Step, type Surroundings } from './plugging.ts'

/** One device, and what a rule wants with it. */
export interface Task {
  plugging: Plugging
  step: Extract<Step, { kind: 'ask' | 'attach' }>
  /** Tries that failed until now. */
  tries: number
  /** Whether the device is still there. */
  isStill(): boolean
}

type Event = Pick<
  WatchEvent,
  | 'event'
  | 'backend'
  | 'port'
  | 'frontend'
  | 'vendorId'
  | 'productId'
  | 'serial'
  | 'description'
  | 'rule'
  | 'message'
>

/** What came of it. */
export interface Done {
  state(around: Omit<Surroundings, 'wasDetached'>): Plugging['state']
  event?: Event
  warnings: readonly Warning[]
  /** It is not tried again. */
  gaveUp?: true
}

/** Nothing came of it: the device has gone, or we are ending. */
export const LEAVE_OPEN: Done = {
  state: ({ now }) => ({ kind: 'open', tries: 0, notBefore: now }),
  warnings: [],
}

/** What another moment may mend: the frontend is on its way up, another qusb is at work. Tried again without a `retry`. */
const PASSING: Readonly<Partial<Record<QusbError['code'], number>>> = {
  NOT_RUNNING: 6,
  CONFLICT: 4,
  NOT_FOUND: 2,
}
/** What is not mended by trying again. */
const FINAL: readonly QusbError['code'][] = ['USAGE', 'AMBIGUOUS', 'REFUSED', 'NO_PROXY', 'INTERNAL']

/** What a failure leads to: another try after a pause, or none. Pure. */
export function failedWith(task: Task, error: unknown): Done {
  const { retry } = task.step.decision.options
  const code = error instanceof QusbError ? error.code : 'INTERNAL'
  const message = error instanceof Error ? error.message : String(error)
  const tries = task.tries + 1
  const passing = PASSING[code] ?? 0
  // A device that changes what it is while it is attached is not met a second time.
  const isFinal = FINAL.includes(code) || isSwap(error)
  const may = isFinal ? 0 : Math.max(passing, retry)
  const event = eventOf(task, {
    event: code === 'REFUSED' ? 'rule-refused' : 'rule-failed',
    message: `${message} [${code}]`,
  })
  const warnings = error instanceof QusbError ? [] : [faultOf(error)]
  if (tries > may) return { state: () => ({ kind: 'closed', why: 'failed' }), event, warnings, gaveUp: true }
  const again: Done = {
    state: ({ now }) => ({ kind: 'open', tries, notBefore: now + backOff(tries) }),
    warnings,
  }
  // What passes by itself is told only when it does not.
  return passing > 0 ? again : { ...again, event }
}

/** Somebody decided against it. */
export function closedBy(
  task: Task,
  event: Pick<Event, 'event' | 'message'>,
  warnings: readonly Warning[] = [],
): Done {
  return { state: () => ({ kind: 'closed', why: 'said-no' }), event: eventOf(task, event), warnings }
}

export function eventOf(task: Task, event: Pick<Event, 'event' | 'message'>): Event {
  const { device } = task.plugging
  const { rule, frontend } = task.step.decision
  const { backend, port, vendorId, productId, serial } = device
  const description = describeDevice(device)
  return {
    ...event,
    backend,
    port,
    frontend,
    vendorId,
    productId,
    serial,
    description,
    rule: ruleLabel(rule),
  }
}

/** Also behind the word that it could not be undone yet. */
function isSwap(error: unknown): boolean {
  return error instanceof SwappedError || (error instanceof Error && error.cause instanceof SwappedError)
}

function faultOf(error: unknown): Warning {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { qube: null, code: 'INTERNAL', message: stack, hint: 'This is a fault of qusb: report it.' }
}
