import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { QusbError } from '../errors.ts'
import type { QubeName } from '../model/names.ts'
import { findBackends, onlyBackends } from './backends.ts'
import type { Context } from './context.ts'
import { failureToWarning, lookAt } from './look.ts'
import type { Warning, WatchEvent } from './results.ts'
import { compareSights, NO_CHANGE, type Sight, seeQubes } from './sight.ts'

export interface WatchRequest {
  /** Empty: the configured or usual ones, and those that qubesd knows. */
  backends: readonly QubeName[]
  /** How often the backends are asked where no stream of events says when, ms. */
  everyMs: number
}

/** How often they are asked where a stream says when: for what it does not tell, ms. */
const SELDOM_MS = 60_000
/** Events come in bursts: one look for all of them, ms. */
const BURST_MS = 60
/** The release of a device shows 1.2 to 1.3 s after it (FACTS section 3): a second look after an event, ms. */
const AFTER_MS = 1800
/** How long qubesd may take to begin its events before the first look is taken without, ms. */
const BEGIN_MS = 1000

/**
 * Tells of devices, attachments and qubes as they change, until the signal ends it. An event of qubesd says when to
 * look, and what is told is what the backends say then: qubesd tells of detaches that never were (FACTS section 4).
 * Without a stream it looks at a pace.
 * @param warn told of a backend that does not answer, once until it does
 */
export async function* watch(
  context: Context,
  request: WatchRequest,
  warn: (warning: Warning) => void,
): AsyncGenerator<WatchEvent, void> {
  const bell = new Bell(context.signal)
  const ending = new AbortController()
  const end = (): void => ending.abort()
  context.signal.addEventListener('abort', end, { once: true })
  const silent = new Set<QubeName>()
  let before: Sight | undefined
  let source: WatchEvent['source'] | undefined
  // Where there never was a qubesd, none is waited for.
  const listening = existsSync(context.site.qubesdSocket) ? listen(context, bell, ending.signal) : undefined
  try {
    if (listening !== undefined) await bell.wait(BEGIN_MS)
    while (!context.signal.aborted) {
      const { sight, warnings } = await look(context, request, before)
      if (context.signal.aborted) return
      const stamp = (event: WatchEvent['event']) => ({
        schema: 1 as const,
        at: new Date().toISOString(),
        event,
        source: bell.source,
      })
      if (source !== bell.source) {
        source = bell.source
        yield { ...stamp('watching'), ...NO_CHANGE }
      }
      for (const warning of warnings) {
        if (warning.qube !== null && !silent.has(warning.qube)) warn(warning)
      }
      silent.clear()
      for (const { qube } of warnings) if (qube !== null) silent.add(qube)
      if (before !== undefined) {
        for (const change of compareSights(before, sight)) yield { ...stamp(change.event), ...change }
      }
      before = sight
      await bell.wait(bell.source === 'qubesd' ? SELDOM_MS : request.everyMs)
      await sleep(BURST_MS)
      bell.hush()
      context.directory.forget()
    }
  } finally {
    context.signal.removeEventListener('abort', end)
    ending.abort()
    await listening
  }
}

/** What there is now; of a backend that does not answer, what there was. */
async function look(
  context: Context,
  request: WatchRequest,
  before: Sight | undefined,
): Promise<{ sight: Sight; warnings: Warning[] }> {
  const asked = request.backends.length > 0 ? onlyBackends(request.backends) : await findOrNone(context)
  const [seen, { qubes, qubesBy }] = await Promise.all([
    lookAt(context, asked.names, { heedSignal: false, found: asked.found }),
    seeQubes(context),
  ])
  const devices = new Map([...seen.surveys].map(([name, survey]) => [name, survey.devices]))
  const warnings: Warning[] = []
  for (const [name, failure] of seen.failures) {
    // One that is halted has no devices; one that does not answer may have them all.
    if ((qubes.get(name)?.state ?? 'halted') === 'halted') continue
    const old = before?.devices.get(name)
    if (old !== undefined) devices.set(name, [...old])
    warnings.push(failureToWarning(failure))
  }
  return { sight: { devices, qubes, qubesBy }, warnings }
}

/** A watcher waits for a backend to start. */
async function findOrNone(context: Context): Promise<ReturnType<typeof onlyBackends>> {
  try {
    return await findBackends(context)
  } catch (error) {
    if (error instanceof QusbError && error.code === 'NOT_FOUND') return onlyBackends([])
    throw error
  }
}

/** Rings the bell for each event of qubesd. */
async function listen(context: Context, bell: Bell, signal: AbortSignal): Promise<void> {
  const { streamEvents } = await import('../qubes/admin/event-stream.ts')
  for await (const event of streamEvents(context.site, signal)) {
    if (event.kind === 'lost') bell.source = 'surveys'
    else if (event.kind === 'connected') bell.source = 'qubesd'
    bell.ring()
  }
}

/** What wakes the watcher: at once, and once more when what is slow to show must have shown. */
class Bell {
  source: WatchEvent['source'] = 'surveys'
  #rung = false
  #again = Number.POSITIVE_INFINITY
  #nap: AbortController | undefined

  constructor(signal: AbortSignal) {
    signal.addEventListener('abort', () => this.ring(), { once: true })
  }

  ring(): void {
    this.#rung = true
    this.#again = Date.now() + AFTER_MS
    this.#nap?.abort()
  }

  /** Until it rings, or the time is over. */
  async wait(ms: number): Promise<void> {
    if (this.#rung) return
    this.#nap = new AbortController()
    const nap = Math.max(0, Math.min(ms, this.#again - Date.now()))
    await sleep(nap, undefined, { signal: this.#nap.signal }).catch(() => {})
    this.#nap = undefined
  }

  /** What rang until now is heard. */
  hush(): void {
    this.#rung = false
    if (Date.now() >= this.#again) this.#again = Number.POSITIVE_INFINITY
  }
}
