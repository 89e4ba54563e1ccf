import { join } from 'node:path'
import { QusbError } from '../errors.ts'
import type { Site } from '../site/site.ts'
import { SET_UP } from '../site/standpoint.ts'
import { checkDirectory } from './directory.ts'
import { acquireLock } from './lock.ts'

/** Who may call qrexec-client writes it, everybody reads it: it is configuration. */
export const CONFIG_FILE_MODE = 0o664

/** How long another change may keep us waiting, ms: one takes milliseconds. */
const WAIT_MS = 10_000

/**
 * Does something while nobody else changes this part of the configuration.
 * @param what the part, in a word: `rules`
 * @param work must not wait for anything
 * @throws QusbError STORE; the signal's reason; what `work` throws
 */
export async function withConfigLock<T>(
  site: Site,
  what: 'rules' | 'aliases',
  signal: AbortSignal,
  work: () => T,
): Promise<T> {
  if (checkDirectory(site.configDir) === undefined) {
    throw new QusbError('STORE', `there is no ${site.configDir} to keep ${what} in`, {
      hint: `Run ${SET_UP}: it makes ${site.configDir}.`,
    })
  }
  const lock = await acquireLock(site, join(site.runDir, `${what}.lock`), {
    waitMs: WAIT_MS,
    signal,
    removeOnRelease: true,
  })
  if ('holder' in lock) {
    throw new QusbError('STORE', `another qusb has been changing the ${what} for ${WAIT_MS / 1000} s`, {
      hint: lock.holder === null ? 'Try again.' : `See what it does: ps -fp ${lock.holder}`,
    })
  }
  try {
    signal.throwIfAborted()
    return work()
  } finally {
    lock.release()
  }
}
