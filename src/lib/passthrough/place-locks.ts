import { QusbError } from '../errors.ts'
import type { QubeName } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import type { Lock, LockHeld } from '../store/lock.ts'
import { lockDevice, lockFrontend } from '../store/place-lock.ts'
import type { Context } from './context.ts'
import type { DeviceWords } from './find-device.ts'
import { reach } from './steps.ts'

/** Where a device is. */
export interface DevicePlace {
  backend: QubeName
  port: Port
}

/** The place that the words name by themselves; undefined where only a look tells it. */
export function placeIn({ backend, selector }: DeviceWords): DevicePlace | undefined {
  if (backend === undefined || (selector.kind !== 'port' && selector.kind !== 'full')) return undefined
  return { backend, port: selector.port }
}

/** Locks that were free when the words told of them, before a look told that they are needed. */
export interface EarlyLocks {
  device: Lock | undefined
  frontend: Lock | undefined
}

/**
 * Takes the locks that the words tell of and that are free, at once. Nothing is waited for, so their order does not matter;
 * one that is not free, or cannot be taken, is asked for again when a look has told that it is needed.
 */
export async function lockEarly(
  context: Context,
  { device, frontend }: { device?: DevicePlace | undefined; frontend?: QubeName | undefined },
): Promise<EarlyLocks> {
  const options = { waitMs: 0, signal: context.signal }
  const ifFree = async (locking: Promise<Lock | LockHeld>): Promise<Lock | undefined> => {
    try {
      const lock = await locking
      return 'release' in lock ? lock : undefined
    } catch (error) {
      // An interrupt ends the look that follows.
      if (error instanceof QusbError || context.signal.aborted) return undefined
      throw error
    }
  }
  if (device !== undefined) await reach('lock-device')
  if (frontend !== undefined) await reach('lock-frontend')
  const [deviceLock, frontendLock] = await Promise.all([
    device && ifFree(lockDevice(context.site, device, options)),
    frontend && ifFree(lockFrontend(context.site, frontend, options)),
  ])
  return { device: deviceLock, frontend: frontendLock }
}

/** The device's place, or a word of who has it. @throws QusbError CONFLICT */
export async function lockOrConflict(context: Context, place: DevicePlace): Promise<Lock> {
  await reach('lock-device')
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
  await reach('lock-frontend')
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
