import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorCode, QusbError } from '../errors.ts'
import type { Context } from './context.ts'

/** Failures that may pass by themselves: all others would only be repeated. */
const PASSING: readonly ErrorCode[] = ['NOT_RUNNING', 'TIMEOUT', 'ATTACH_FAILED']

const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 30_000

/**
 * Does something again when it failed for a reason that may pass, with pauses that double.
 * @param times how often again, at most
 * @throws the last failure; the signal's reason
 */
export async function withRetries<T>(context: Context, times: number, work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work()
    } catch (error) {
      const mayPass = error instanceof QusbError && PASSING.includes(error.code)
      if (!mayPass || tries >= times || context.signal.aborted) throw error
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** tries, LONGEST_PAUSE_MS)
      context.progress(`${error.message}: trying again in ${pauseMs / 1000} s (${tries + 1} of ${times})`)
      await sleep(pauseMs, undefined, { signal: context.signal }).catch(() => {})
      context.signal.throwIfAborted()
    }
  }
}
