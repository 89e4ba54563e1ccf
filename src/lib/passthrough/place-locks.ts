import { QusbError } from '../errors.ts'
import type { QubeName } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import type { Lock } from '../store/lock.ts'
import { lockDevice, lockFrontend } from '../store/place-lock.ts'
import type { Context } from './context.ts'

/** The device's place, or a word of who has it. @throws QusbError CONFLICT */
export async function lockOrConflict(
  context: Context,
  place: { backend: QubeName; port: Port },
): Promise<Lock> {
  const lock = await lockDevice(context.site, place, { waitMs: 0, signal: context.signal })
  if ('release' in lock) return lock
  throw new QusbError('CONFLICT', `another qusb is at work on ${place.backend}:${place.port}`, {
    hint:
      lock.holder === null
        ? 'Try again in a moment.'
        : `It is process ${lock.holder}; try again in a moment.`,
  })
}

/** Attaches to one frontend go one after the other: its proxy picks a free port of the controller without a lock. */
export async function lockFrontendInTime(
  context: Context,
  frontend: QubeName,
  timeoutMs: number,
): Promise<Lock> {
  const lock = await lockFrontend(context.site, frontend, { waitMs: timeoutMs, signal: context.signal })
  if ('release' in lock) return lock
  throw new QusbError(
    'TIMEOUT',
    `other attaches to ${frontend} did not finish within ${timeoutMs / 1000} s`,
    {
      hint: 'Try again.',
    },
  )
}
