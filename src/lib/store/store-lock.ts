import { join } from 'node:path'
import { QusbError } from '../errors.ts'
import type { Site } from '../site/site.ts'
import { acquireLock } from './lock.ts'

/** Changes take milliseconds, so who waits this long (ms) waits for a process that hangs. */
const STORE_WAIT_MS = 30_000

export interface StoreLockOptions {
  /** Ends the waiting: its reason is thrown. A change that has begun is finished. */
  signal?: AbortSignal | undefined
  /** How long to wait for another qusb, ms. */
  waitMs?: number
}

/**
 * Does something while nobody else changes the store.
 * @param work must not wait for anything: all other qusb processes stand in line
 * @throws QusbError STORE; the signal's reason; what `work` throws
 */
export async function withStoreLock<T>(site: Site, options: StoreLockOptions, work: () => T): Promise<T> {
  // The file stays, so that a crowd hands the lock on in one line instead of racing for a new file each time.
  const file = join(site.stateDir, 'state.json.lock')
  const waitMs = options.waitMs ?? STORE_WAIT_MS
  const lock = await acquireLock(site, file, { waitMs, signal: options.signal })
  if ('holder' in lock) {
    const who = lock.holder === null ? 'another process' : `process ${lock.holder}`
    throw new QusbError('STORE', `${who} has held the store for ${waitMs / 1000} s`, {
      hint: lock.holder === null ? `See who: sudo lsof ${file}` : `See what it does: ps -fp ${lock.holder}`,
    })
  }
  try {
    options.signal?.throwIfAborted()
    return work()
  } finally {
    lock.release()
  }
}
