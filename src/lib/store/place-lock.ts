import { join } from 'node:path'
import type { QubeName } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import type { Site } from '../site/site.ts'
import { ensureDirectory } from './directory.ts'
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
  return await acquireLock(site, join(directory, name), { ...options, removeOnRelease: true })
}
