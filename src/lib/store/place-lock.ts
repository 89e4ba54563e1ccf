import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { QubeName } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import type { Site } from '../site/site.ts'
import { ensureDirectory } from './directory.ts'
import { storeError } from './failure.ts'
import { acquireLock, type Lock, type LockHeld, type LockOptions } from './lock.ts'

type PlaceLockOptions = Pick<LockOptions, 'waitMs' | 'signal'>

/**
 * Locks one device's place: nobody else works on it meanwhile. Take it before the frontend's lock.
 * @throws QusbError STORE; the signal's reason
 */
export async function lockDevice(
  site: Site,
  at: { backend: QubeName; port: Port },
  options: PlaceLockOptions,
): Promise<Lock | LockHeld> {
  // A port holds no `_`, so the last one ends the backend's name.
  return await lockPlace(site, `device-${at.backend}_${at.port}.lock`, options)
}

/**
 * Locks a frontend: nobody else gives it a device or takes one meanwhile.
 * @throws QusbError STORE; the signal's reason
 */
export async function lockFrontend(
  site: Site,
  frontend: QubeName,
  options: PlaceLockOptions,
): Promise<Lock | LockHeld> {
  return await lockPlace(site, `frontend-${frontend}.lock`, options)
}

async function lockPlace(site: Site, name: string, options: PlaceLockOptions): Promise<Lock | LockHeld> {
  ensureDirectory(site.runDir)
  const directory = join(site.runDir, 'locks')
  ensureDirectory(directory)
  await sweepLocks(site, directory, options.signal)
  return await acquireLock(site, join(directory, name), { ...options, removeOnRelease: true })
}

/** A lock file goes with its lock, so more than these are what killed processes left. */
const MOST_LOCK_FILES = 256

/** Each costs a call of flock, so a command takes away a few, and more than it can add. */
const SWEPT_AT_ONCE = 16

/** Takes away lock files that nobody holds, by taking each lock and giving it back. */
async function sweepLocks(site: Site, directory: string, signal: AbortSignal | undefined): Promise<void> {
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch (error) {
    throw storeError('list', directory, error)
  }
  if (names.length <= MOST_LOCK_FILES) return
  // From anywhere in the list: the first ones may be held for long.
  const from = Math.floor(Math.random() * (names.length - SWEPT_AT_ONCE))
  for (const name of names.slice(from, from + SWEPT_AT_ONCE)) {
    if (!isLockFile(join(directory, name))) continue
    const lock = await acquireLock(site, join(directory, name), { waitMs: 0, signal, removeOnRelease: true })
    if (!('holder' in lock)) lock.release()
  }
}

function isLockFile(file: string): boolean {
  return file.endsWith('.lock') && lstatSync(file, { throwIfNoEntry: false })?.isFile() === true
}
