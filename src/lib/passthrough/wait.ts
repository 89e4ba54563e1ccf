import { QusbError } from '../errors.ts'
import type { Device } from '../model/device.ts'
import { requireAlias } from './choose.ts'
import type { Context } from './context.ts'
import { type DeviceWords, findDevice } from './find-device.ts'
import { failureToError } from './look.ts'
import { namingOf } from './naming.ts'
import { watch } from './watch.ts'

/** How often the backends are asked where no stream of events says when, ms. */
const PACE_MS = 1000

/**
 * Waits until the device is plugged in: by the events of qubesd where there are, else by looking from time to time.
 * Its backend may be halted, and start meanwhile.
 * @param limitMs how long; null: until it comes
 * @throws QusbError TIMEOUT; AMBIGUOUS when several come; NOT_FOUND for a backend or an alias that nobody knows
 */
export async function waitForDevice(
  context: Context,
  words: DeviceWords,
  limitMs: number | null,
): Promise<void> {
  const { backend, selector } = words
  if (selector.kind === 'alias') requireAlias(selector.alias, namingOf(context.site))
  const unknown = backend === undefined ? undefined : await context.directory.whyNotThere(backend)
  if (unknown?.code === 'NOT_FOUND') throw failureToError(unknown)
  if ((await lookFor(context, words)) !== undefined) return

  const limit = limitMs === null ? [] : [AbortSignal.timeout(limitMs)]
  const waiting = { ...context, signal: AbortSignal.any([context.signal, ...limit]) }
  const request = { backends: backend === undefined ? [] : [backend], everyMs: PACE_MS }
  context.progress(`waiting for ${selector.text}`)
  for await (const { event } of watch(waiting, request, () => {})) {
    // What came between our look and the watcher's first is told by no event.
    if (event !== 'watching' && event !== 'device-added') continue
    // One that is not published yet may be so in a moment, and would be refused as hidden till then.
    if ((await lookFor(context, words))?.hidden === false) return
    context.progress(`waiting for ${selector.text}`)
  }
  context.signal.throwIfAborted()
  throw new QusbError('TIMEOUT', `no device "${selector.text}" came within ${(limitMs ?? 0) / 1000} s`, {
    hint: 'See what is there: qusb list',
  })
}

/** The device, if it is there. @throws QusbError AMBIGUOUS; what no waiting would mend */
async function lookFor(context: Context, words: DeviceWords): Promise<Device | undefined> {
  try {
    return (await findDevice(context, words)).device
  } catch (error) {
    context.signal.throwIfAborted()
    const mayPass = error instanceof QusbError && ['NOT_FOUND', 'NOT_RUNNING', 'TIMEOUT'].includes(error.code)
    if (mayPass) return undefined
    throw error
  }
}
