import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  openSync,
  readSync,
  type Stats,
} from 'node:fs'
import { QusbError } from '../errors.ts'
import { storeError } from './failure.ts'

/** Members of the directory's group read and write, others have nothing. */
const FILE_MODE = 0o660

export interface PlainFile {
  fd: number
  stat: Stats
}

/**
 * Opens a file of the store without following a link, waiting for a FIFO, or taking what others could have written.
 * The descriptor is not inherited by programs that qusb starts (Node opens with O_CLOEXEC).
 * @param flags open(2) flags
 * @param mode of a file that O_CREAT makes
 * @throws the system call's error, or QusbError STORE for a file that is not plain
 */
export function openPlainFile(file: string, flags: number, mode = FILE_MODE): PlainFile {
  const fd = openSync(file, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, mode)
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile())
      throw notPlain(file, 'is not a regular file', `Look at it, then move it away: ${file}`)
    // A second name may be one under which somebody else reaches or protects the content.
    if (stat.nlink > 1) throw notPlain(file, 'has a second hard link', `Find it with: sudo ls -li ${file}`)
    if ((stat.mode & 0o002) !== 0) {
      throw notPlain(file, 'can be written by everybody', `Look at it, then: sudo chmod 660 ${file}`)
    }
    return { fd, stat }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function notPlain(file: string, what: string, hint: string): QusbError {
  return new QusbError('STORE', `${file} ${what}`, { hint })
}

/**
 * Gives a file just made its mode, whatever the umask, and the directory's group, even without a setgid bit.
 * @param group the directory's group id
 */
export function shareWithGroup(fd: number, group: number, mode = FILE_MODE): void {
  const stat = fstatSync(fd)
  const mine = stat.uid === (process.geteuid?.() ?? stat.uid)
  if (stat.gid !== group && mine) {
    try {
      fchownSync(fd, stat.uid, group)
    } catch {
      // Not a member of that group: the file stays with ours, and the directory's owner can still replace it.
    }
  }
  if ((stat.mode & 0o777) !== mode && mine) fchmodSync(fd, mode)
}

/**
 * Reads a whole file that must not be larger than a limit.
 * @param limit bytes
 * @throws QusbError STORE
 */
export function readWhole(file: string, opened: PlainFile, limit: number): Buffer {
  if (opened.stat.size > limit) {
    throw new QusbError('STORE', `${file} is larger than ${limit} bytes`, {
      hint: `qusb did not write it so: look at it, then move it away: sudo mv ${file} ${file}.old`,
    })
  }
  try {
    const content = Buffer.allocUnsafe(opened.stat.size)
    let length = 0
    while (length < content.length) {
      const read = readSync(opened.fd, content, length, content.length - length, length)
      if (read === 0) break
      length += read
    }
    return content.subarray(0, length)
  } catch (error) {
    throw storeError('read', file, error)
  }
}
