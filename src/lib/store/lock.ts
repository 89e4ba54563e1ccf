import {
  closeSync,
  constants,
  ftruncateSync,
  lstatSync,
  readSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { QusbError } from '../errors.ts'
import type { ProgramEnd } from '../host/call-program.ts'
import type { Site } from '../site/site.ts'
import { ensureDirectory } from './directory.ts'
import { errnoOf, storeError } from './failure.ts'
import { openPlainFile, type PlainFile, shareWithGroup } from './plain-file.ts'

/** A lock that this process holds. */
export interface Lock {
  readonly file: string
  /** Gives the lock back; a second call does nothing. */
  release(): void
}

/** Somebody else holds the lock; the process id is for messages only, null where it is not known. */
export interface LockHeld {
  readonly holder: number | null
}

export interface LockOptions {
  /** How long to wait for another holder, ms; 0 asks once. */
  waitMs: number
  /** Ends the waiting: its reason is thrown. */
  signal?: AbortSignal | undefined
  /** The file goes when the lock is given back; without it one file stays for good. */
  removeOnRelease?: boolean
}

/** A path that keeps changing under us this often is no lock file of ours. */
const MOST_TRIES = 1000

/**
 * Takes an exclusive lock.
 *
 * The kernel holds it on our open file description, which flock(1) locks through the inherited descriptor: it is
 * gone with the process, however that ends. Other programs that qusb starts do not inherit the descriptor.
 *
 * Whoever holds the lock may remove the file, so after locking the path must still name the locked inode: otherwise
 * a later comer holds, or will hold, a lock on a new file, and we try again there.
 * @param file in a directory of the store, which is made where it is missing
 * @throws QusbError STORE; the signal's reason
 */
export async function acquireLock(site: Site, file: string, options: LockOptions): Promise<Lock | LockHeld> {
  const { gid } = ensureDirectory(dirname(file))
  const until = uptimeMs() + options.waitMs
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    options.signal?.throwIfAborted()
    const opened = openLockFile(file, gid)
    let keep = false
    try {
      if (!(await callFlock(site, opened.fd, until - uptimeMs(), options.signal))) {
        return { holder: readHolder(opened.fd) }
      }
      if (!isStillAt(file, opened.stat)) continue
      writeHolder(opened.fd)
      keep = true
      return holdLock(file, opened.fd, options.removeOnRelease === true)
    } finally {
      if (!keep) closeSync(opened.fd)
    }
  }
  throw new QusbError('STORE', `${file} is replaced again and again`, {
    hint: `Find out what does that: sudo lsof ${file}`,
  })
}

/** A clock that nobody sets; loading performance.now() takes a millisecond. */
function uptimeMs(): number {
  return process.uptime() * 1000
}

/** Opens the lock file, or makes it. */
function openLockFile(file: string, group: number): PlainFile {
  try {
    const opened = openPlainFile(file, constants.O_RDWR | constants.O_CREAT)
    shareWithGroup(opened.fd, group)
    return opened
  } catch (error) {
    throw storeError('open the lock', file, error)
  }
}

/**
 * Has flock(1) lock the file description behind a descriptor.
 * @param waitMs how long to wait, ms; nothing left asks once
 * @returns whether it was locked
 * @throws QusbError STORE; the signal's reason
 */
async function callFlock(
  site: Site,
  fd: number,
  waitMs: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  // Loaded here because reading the store, which is all that a list does, starts no program.
  const { callProgram } = await import('../host/call-program.ts')
  const how = waitMs > 0 ? ['-w', (Math.max(waitMs, 1) / 1000).toFixed(3)] : ['-n']
  // Our descriptor becomes its 0.
  const called = await callProgram(site.flock, ['-x', ...how, '0'], {
    stdin: fd,
    timeoutMs: Math.max(waitMs, 0) + 5000,
    stdoutLimit: 4096,
    signal,
  })
  if (called.exitCode === 0) return true
  signal?.throwIfAborted()
  // flock(1): 1 is somebody else's lock, all other failures have the codes of sysexits.h.
  if (called.exitCode === 1) return false
  throw new QusbError('STORE', `cannot take a lock: ${site.flock} failed`, {
    hint: 'qusb needs flock of the package util-linux.',
    detail: called.stderr ?? howItEnded(called),
  })
}

function howItEnded({ end, exitCode }: ProgramEnd): string {
  if (end === 'exit') return `it ended with ${exitCode}`
  return end === 'not-started' ? 'it cannot be run' : 'it did not end'
}

function isStillAt(file: string, locked: Stats): boolean {
  try {
    const there = lstatSync(file, { throwIfNoEntry: false })
    return there !== undefined && there.ino === locked.ino && there.dev === locked.dev
  } catch (error) {
    throw storeError('look at the lock', file, error)
  }
}

function holdLock(file: string, fd: number, removeOnRelease: boolean): Lock {
  let held = true
  return {
    file,
    release: () => {
      if (!held) return
      held = false
      try {
        // Before the lock goes: afterwards the path may already be another holder's.
        if (removeOnRelease) unlinkSync(file)
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw storeError('remove the lock', file, error)
      } finally {
        closeSync(fd)
      }
    },
  }
}

function writeHolder(fd: number): void {
  try {
    ftruncateSync(fd)
    writeSync(fd, `${process.pid}\n`, 0)
  } catch {
    // A full disk must not keep anybody from a lock: the number is for messages only.
  }
}

function readHolder(fd: number): number | null {
  const text = Buffer.alloc(16)
  try {
    const length = readSync(fd, text, 0, text.length, 0)
    const pid = /^([1-9][0-9]{0,9})\n/.exec(text.toString('latin1', 0, length))?.[1]
    return pid === undefined ? null : Number(pid)
  } catch {
    return null
  }
}
