import { setTimeout as sleep } from 'node:timers/promises'
import type { Site } from '../../site/site.ts'
import { openChannel } from './channel.ts'
import { type AdminEvent, EventReader, readEvent } from './events.ts'

/** An event, or that the stream has broken off and will be taken up again. */
export type StreamEvent = AdminEvent | { kind: 'lost'; why: string }

const FIRST_WAIT_MS = 200
const LONGEST_WAIT_MS = 10_000
/** How long qubesd may take to begin, ms. */
const BEGIN_MS = 5000
/** How long a stream must have lasted for the next wait to be short again, ms. */
const STEADY_MS = 5000

/**
 * The events of qubesd, for as long as the signal lets it. A stream that ends, breaks or makes no sense is taken up
 * again, after a wait that grows; each beginning is a `connected`, and what was missed meanwhile is not told.
 */
export async function* streamEvents(site: Site, signal: AbortSignal): AsyncGenerator<StreamEvent, void> {
  let wait = FIRST_WAIT_MS
  while (!signal.aborted) {
    const begun = Date.now()
    let why = 'qubesd ended the stream'
    try {
      yield* readStream(site, signal)
    } catch (error) {
      why = (error as Error).message
    }
    if (signal.aborted) return
    yield { kind: 'lost', why }
    if (Date.now() - begun > STEADY_MS) wait = FIRST_WAIT_MS
    await sleep(wait, undefined, { signal }).catch(() => {})
    wait = Math.min(wait * 2, LONGEST_WAIT_MS)
  }
}

/** One stream. Reading is at the pace of whoever takes the events: the rest waits. */
async function* readStream(site: Site, signal: AbortSignal): AsyncGenerator<AdminEvent, void> {
  const channel = openChannel(site, { method: 'admin.Events' })
  const onAbort = (): void => void channel.destroy()
  signal.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(() => channel.destroy(new Error('qubesd does not begin its events')), BEGIN_MS)
  try {
    const reader = new EventReader()
    for await (const chunk of channel) {
      for (const record of reader.read(chunk as Buffer)) {
        const event = readEvent(record)
        if (event?.kind === 'connected') clearTimeout(timer)
        if (event !== undefined) yield event
      }
    }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    channel.destroy()
  }
}
