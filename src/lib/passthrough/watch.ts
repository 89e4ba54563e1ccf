import { setTimeout as sleep } from 'node:timers/promises'
import { QusbError } from '../errors.ts'
import type { QubeName } from '../model/names.ts'
import { hasQubesd } from '../site/standpoint.ts'
import { findBackends, onlyBackends } from './backends.ts'
import { Bell, type Rung } from './bell.ts'
import type { Context } from './context.ts'
import { failureToWarning, type Look, lookAt, warningsOf } from './look.ts'
import type { Warning, WatchEvent } from './results.ts'
import { compareSights, NO_CHANGE, type Sight, seeQubes } from './sight.ts'

export interface WatchRequest {
  /** Empty: the configured or usual ones, and those that qubesd knows. */
  backends: readonly QubeName[]
  /** How often the backends are asked where no stream of events says when, ms. */
  everyMs: number
}

/** One look, for whoever acts on what is seen. */
export interface Sighting {
  sight: Sight
  /** The backends that answered this time, and those that did not: not always all of them. */
  look: Look
}

/** Whoever acts on what is seen. */
export interface Acting {
  /** What rings it from elsewhere: hints, timers. */
  bell: Bell
  /** Called before each look: what begins after it is not to be judged by that look. */
  beforeLook(): void
  /** Called after each look, before its events are told; and when the bell's alarm goes off, with the last one. */
  act(sighting: Sighting): Promise<void>
}

/** How often they are asked where a stream says when: for what it does not tell, ms. */
const SELDOM_MS = 60_000
/** Whoever rings without end gets no more looks a second than these; whoever rings after a while gets one at once. */
const LOOKS_A_SECOND = 4
/** How long qubesd may take to begin its events before the first look is taken without, ms. */
const BEGIN_MS = 1000

/**
 * Tells of devices, attachments and qubes as they change, until the signal ends it. An event of qubesd, or a ring of the
 * bell, says when to look, and what is told is what the backends say then: qubesd tells of detaches that never were
 * (docs/facts.md#events), and a hint of a USB qube may be a lie. Without a stream it looks at a pace.
 * @param warn told of a backend that does not answer, once until it does; and of what is not known of one that does
 */
export async function* watch(
  context: Context,
  request: WatchRequest,
  warn: (warning: Warning) => void,
  acting?: Acting,
): AsyncGenerator<WatchEvent, void> {
  const bell = acting?.bell ?? new Bell(context.signal)
  const ending = new AbortController()
  const end = (): void => ending.abort()
  context.signal.addEventListener('abort', end, { once: true })
  const told = new Told(warn)
  const stream: { source: WatchEvent['source'] } = { source: 'surveys' }
  let last: Sighting | undefined
  let source: WatchEvent['source'] | undefined
  let rung: Rung = 'all'
  const looks: number[] = []
  // Where there never was a qubesd, none is waited for.
  const listening = hasQubesd(context.site) ? listen(context, bell, stream, ending.signal) : undefined
  try {
    if (listening !== undefined) await bell.wait(BEGIN_MS)
    bell.hush()
    while (!context.signal.aborted) {
      looks.push(Date.now())
      if (looks.length > LOOKS_A_SECOND) looks.shift()
      const before = last?.sight
      acting?.beforeLook()
      const { warnings, ...sighting } = await look(context, request, before, rung)
      if (context.signal.aborted) return
      last = sighting
      const stamp = (event: WatchEvent['event']) => ({
        schema: 1 as const,
        at: new Date().toISOString(),
        event,
        source: stream.source,
      })
      if (source !== stream.source) {
        source = stream.source
        yield { ...stamp('watching'), ...NO_CHANGE }
      }
      await acting?.act(sighting)
      told.tell(sighting.look, warnings)
      if (before !== undefined) {
        for (const change of compareSights(before, sighting.sight)) {
          yield { ...stamp(change.event), ...change }
        }
      }
      const paceMs = stream.source === 'qubesd' ? SELDOM_MS : request.everyMs
      rung = await nextRing(context, bell, paceMs, async () => await acting?.act(sighting))
      const early = looks.length < LOOKS_A_SECOND ? 0 : (looks[0] ?? 0) + 1000 - Date.now()
      if (early > 0) await sleep(early, undefined, { signal: context.signal }).catch(() => {})
      const more = bell.hush()
      rung = rung === 'all' || more === 'all' ? 'all' : new Set([...rung, ...more])
      context.directory.forget()
    }
  } finally {
    context.signal.removeEventListener('abort', end)
    ending.abort()
    await listening
  }
}

/** Which warnings were told: each once, until a look at its qube has no reason for it any more. */
class Told {
  readonly #warn: (warning: Warning) => void
  /** By qube: what its survey was not, and that it has failed, whatever the reason. */
  readonly #known = new Map<QubeName | null, ReadonlySet<string>>()

  constructor(warn: (warning: Warning) => void) {
    this.#warn = warn
  }

  tell(look: Look, warnings: readonly Warning[]): void {
    const kindOf = ({ qube, code }: Warning): string =>
      qube !== null && look.failures.has(qube) ? 'FAILED' : code
    for (const warning of warnings) {
      if (this.#known.get(warning.qube)?.has(kindOf(warning)) !== true) this.#warn(warning)
    }
    for (const qube of [null, ...look.surveys.keys(), ...look.failures.keys()]) {
      const now = warnings.filter((warning) => warning.qube === qube)
      if (now.length > 0) this.#known.set(qube, new Set(now.map(kindOf)))
      // One that is halted may fail without a word, and is no answer for that.
      else if (qube === null || look.surveys.has(qube)) this.#known.delete(qube)
    }
  }
}

/** Waits for the next look; alarms between are answered with what was seen last. */
async function nextRing(
  context: Context,
  bell: Bell,
  paceMs: number,
  onAlarm: () => Promise<void>,
): Promise<Rung> {
  for (const until = Date.now() + paceMs; ; ) {
    const woken = await bell.wait(Math.max(0, until - Date.now()))
    if (woken === 'rung') return bell.hush()
    if (woken === 'over' || context.signal.aborted) return 'all'
    await onAlarm()
  }
}

/**
 * What there is now; of a backend that does not answer, what there was.
 * @param rung the backends to ask; those that are not known yet are found by asking all
 */
async function look(
  context: Context,
  request: WatchRequest,
  before: Sight | undefined,
  rung: Rung,
): Promise<Sighting & { warnings: Warning[] }> {
  context.directory.forgive()
  const some =
    rung !== 'all' && [...rung].every((name) => before?.devices.has(name) === true) ? rung : undefined
  const asked =
    some !== undefined
      ? onlyBackends(some)
      : request.backends.length > 0
        ? onlyBackends(request.backends)
        : await findOrKnown(context, before)
  const [seen, { qubes, qubesBy }] = await Promise.all([
    lookAt(context, asked.names, { heedSignal: false, found: asked.found }),
    seeQubes(context),
  ])
  const devices = new Map(some === undefined ? [] : before?.devices)
  for (const [name, survey] of seen.surveys) devices.set(name, survey.devices)
  const warnings = [...seen.surveys.values()].flatMap(warningsOf)
  for (const [name, failure] of seen.failures) {
    // One that is halted has no devices; one that does not answer may have them all.
    if ((qubes.get(name)?.state ?? 'halted') === 'halted') {
      devices.delete(name)
      continue
    }
    const old = before?.devices.get(name)
    if (old !== undefined) devices.set(name, [...old])
    warnings.push(failureToWarning(failure))
  }
  warnings.push(...context.directory.warnings())
  return { sight: { devices, qubes, qubesBy }, look: seen, warnings }
}

/** A watcher waits for a backend to start, and for a qubesd that told of backends before to come back. */
async function findOrKnown(
  context: Context,
  before: Sight | undefined,
): Promise<ReturnType<typeof onlyBackends>> {
  try {
    return await findBackends(context)
  } catch (error) {
    if (!(error instanceof QusbError)) throw error
    if (error.code === 'NOT_FOUND') return onlyBackends([])
    if (before === undefined) throw error
    return onlyBackends(before.devices.keys())
  }
}

/** Rings the bell for each event of qubesd: for the backend that it is about, else for all. */
async function listen(
  context: Context,
  bell: Bell,
  stream: { source: WatchEvent['source'] },
  signal: AbortSignal,
): Promise<void> {
  const { streamEvents } = await import('../qubes/admin/event-stream.ts')
  for await (const event of streamEvents(context.site, signal)) {
    if (event.kind === 'lost') stream.source = 'surveys'
    else if (event.kind === 'connected') stream.source = 'qubesd'
    bell.ring('backend' in event ? event.backend : 'all')
  }
}
