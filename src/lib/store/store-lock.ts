import { join } from 'node:path'
import { QusbError } from '../errors.ts'
import type { Site } from '../site/site.ts'
import { acquireLock, type Lock } from './lock.ts'

/** A change takes milliseconds, so a process that has the store for this long (ms) hangs. */
const HOLDER_LIMIT_MS = 30_000

/** How often, in that time, we look who has it: in a long line it is always somebody else. */
const LOOKS = 3

export interface StoreLockOptions {
  /** Ends the waiting: its reason is thrown. A change that has begun is finished. */
  signal?: AbortSignal | undefined
  /** How long one and the same process may keep us waiting, ms. */
  waitMs?: number
}

/**
 * Does something while nobody else changes the store.
 * @param work must not wait for anything: all other qusb processes stand in line
 * @throws QusbError STORE; the signal's reason; what `work` throws
 */
export async function withStoreLock<T>(site: Site, options: StoreLockOptions, work: () => T): Promise<T> {
  const lock = await lockStore(site, options)
  try {
    options.signal?.throwIfAborted()
    return work()
  } finally {
    lock.release()
  }
}

async function lockStore(site: Site, { waitMs = HOLDER_LIMIT_MS, signal }: StoreLockOptions): Promise<Lock> {
  // The file stays, so that a crowd hands the lock on in one line instead of racing for a new file each time.
  const file = join(site.stateDir, 'state.json.lock')
  let holder: number | null = null
  for (let looks = 1; ; looks++) {
    const lock = await acquireLock(site, file, { waitMs: waitMs / LOOKS, signal })
    if (!('holder' in lock)) return lock
    if (lock.holder !== holder) looks = 1
    holder = lock.holder
    if (looks === LOOKS) throw refuseToWait(file, holder, waitMs)
  }
}

function refuseToWait(file: string, holder: number | null, waitMs: number): QusbError {
  const who = holder === null ? 'another process' : `process ${holder}`
  return new QusbError('STORE', `${who} has held the store for ${waitMs / 1000} s`, {
    hint: holder === null ? `See who: sudo lsof ${file}` : `See what it does: ps -fp ${holder}`,
  })
}
