import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { QusbError } from '../errors.ts'

/** Ids of a user and a group. */
interface Ids {
  uid: number
  gid: number
}

type Action = 'made' | 'changed' | 'unchanged'

const FILE_MODE = 0o644

/** More than any file of ours holds, bytes. */
const CONTENT_LIMIT = 64 * 1024

/**
 * What it takes to have a directory with this mode and owner.
 * @throws QusbError REFUSED when something else is there, or a directory above could be replaced by others
 */
export function inspectDirectory(path: string, mode: number, owner: Ids): Action {
  refuseReplaceableParents(path, owner)
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return 'made'
  if (!stat.isDirectory()) throw inTheWay(path, stat)
  return fits(stat, mode, owner) ? 'unchanged' : 'changed'
}

/**
 * Makes the directory, or gives it its mode and owner. Works on the opened directory, so that a link which is planted
 * between a look and a change is never followed.
 * @throws QusbError REFUSED
 */
export function makeDirectory(path: string, mode: number, owner: Ids): void {
  try {
    // Closed to others until it has its owner.
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw refused(path, error)
  }
  let fd: number | undefined
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
    fchownSync(fd, owner.uid, owner.gid)
    // After the owner: changing that takes the set-group-id bit away.
    fchmodSync(fd, mode)
  } catch (error) {
    throw refused(path, error)
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/**
 * What it takes to have a file with this content.
 * @throws QusbError REFUSED
 */
export function inspectFile(path: string, content: string, owner: Ids): Action {
  refuseReplaceableParents(path, owner)
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return 'made'
  if (!stat.isFile()) throw inTheWay(path, stat)
  const same = stat.size <= CONTENT_LIMIT && readFileSync(path, 'utf8') === content
  return same && fits(stat, FILE_MODE, owner) ? 'unchanged' : 'changed'
}

/** Puts a whole file in place at once: under another name first, then renamed. @throws QusbError REFUSED */
export function replaceFile(path: string, content: string, owner: Ids): void {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}`)
  let fd: number | undefined
  try {
    fd = openSync(
      temporary,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    )
    writeFileSync(fd, content)
    fchownSync(fd, owner.uid, owner.gid)
    fchmodSync(fd, FILE_MODE)
    fsyncSync(fd)
    renameSync(temporary, path)
  } catch (error) {
    if (fd !== undefined) rmSync(temporary, { force: true })
    throw refused(path, error)
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/**
 * What it takes to have a symbolic link to this target. One that leads elsewhere is somebody else's.
 * @throws QusbError REFUSED
 */
export function inspectLink(path: string, target: string, owner: Ids): Action {
  refuseReplaceableParents(path, owner)
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return 'made'
  if (!stat.isSymbolicLink() || readlinkSync(path) !== target) throw inTheWay(path, stat)
  return 'unchanged'
}

/** @throws QusbError REFUSED */
export function makeLink(path: string, target: string): void {
  try {
    symlinkSync(target, path)
  } catch (error) {
    throw refused(path, error)
  }
}

function fits(stat: Stats, mode: number, owner: Ids): boolean {
  return (stat.mode & 0o7777) === mode && stat.uid === owner.uid && stat.gid === owner.gid
}

/**
 * What stands in a directory that others may write can be exchanged by them at any moment: only root's own directories,
 * ours, and those with the sticky bit (whose entries only their owner may exchange) may be above.
 */
function refuseReplaceableParents(path: string, owner: Ids): void {
  let parent = dirname(path)
  while (lstatSync(parent, { throwIfNoEntry: false }) === undefined && parent !== dirname(parent)) {
    parent = dirname(parent)
  }
  for (let at = realpathSync(parent); ; at = dirname(at)) {
    const stat = lstatSync(at)
    const ours = stat.gid === owner.gid && stat.uid === owner.uid
    const open = (stat.mode & 0o1000) === 0 && (stat.mode & (ours ? 0o002 : 0o022)) !== 0
    if ((stat.uid !== 0 && stat.uid !== owner.uid) || open) {
      throw new QusbError('REFUSED', `${at} can be written by others, so ${path} would not be safe there`, {
        hint: `Make ${at} root's, and not writable by others.`,
      })
    }
    if (at === dirname(at)) return
  }
}

function inTheWay(path: string, stat: Stats): QusbError {
  const what = stat.isSymbolicLink()
    ? 'a symbolic link'
    : stat.isDirectory()
      ? 'a directory'
      : 'something else'
  return new QusbError('REFUSED', `${path} is ${what}, which qusb does not follow or replace`, {
    hint: 'See who made it; remove it, and run this again.',
  })
}

function refused(path: string, cause: unknown): QusbError {
  if (cause instanceof QusbError) return cause
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat?.isSymbolicLink() === true) return inTheWay(path, stat)
  return new QusbError('REFUSED', `cannot make ${path}: ${(cause as Error).message}`, { cause })
}
