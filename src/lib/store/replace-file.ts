import {
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { storeError } from './failure.ts'
import { openPlainFile, shareWithGroup } from './plain-file.ts'

/** With the writer's process id; a name that a killed one left is removed before it can be met again. */
const TEMPORARY = /^\.(?:state\.json|left-alone\.json|aliases\.json|.{1,200}\.rules)\.new-[0-9]{1,10}$/

/**
 * Replaces a file's content, so that after a crash or power cut at any point there is the old or the new one, whole.
 * @param options.setAside where the old file goes instead of being overwritten; must not exist
 * @param options.mode of the new file; by default only its owner and the directory's group have it
 * @throws QusbError STORE; the old file is then as it was
 */
export function replaceFile(
  file: string,
  content: string,
  { setAside, mode }: { setAside?: string; mode?: number } = {},
): void {
  const directory = dirname(file)
  const temporary = join(directory, `.${basename(file)}.new-${process.pid}`)
  let moved = false
  try {
    writeNew(temporary, content, { group: statSync(directory).gid, mode })
    if (setAside !== undefined) {
      renameSync(file, setAside)
      moved = true
    }
    renameSync(temporary, file)
  } catch (error) {
    removeQuietly(temporary)
    if (moved && setAside !== undefined) renameSync(setAside, file)
    throw storeError('write', file, error)
  }
  syncDirectory(directory)
}

function writeNew(
  file: string,
  content: string,
  { group, mode }: { group: number; mode: number | undefined },
): void {
  const { O_WRONLY, O_CREAT, O_EXCL } = constants
  const { fd } = openPlainFile(file, O_WRONLY | O_CREAT | O_EXCL, mode)
  try {
    shareWithGroup(fd, group, mode)
    writeAll(fd, Buffer.from(content))
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** A write may be cut short without an error where a disk is nearly full. */
export function writeAll(fd: number, content: Buffer): void {
  for (let done = 0; done < content.length; ) done += writeSync(fd, content, done)
}

/** Makes a rename outlive a power cut. */
function syncDirectory(directory: string): void {
  try {
    const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw storeError('write', directory, error)
  }
}

/** Removes what killed processes left. The caller holds the store's lock, so no such file is in use. */
export function removeTemporaries(directory: string): void {
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch (error) {
    throw storeError('list', directory, error)
  }
  for (const name of names) if (TEMPORARY.test(name)) removeQuietly(join(directory, name))
}

function removeQuietly(file: string): void {
  try {
    if (lstatSync(file).isFile()) unlinkSync(file)
  } catch {
    // Gone, or not to be removed now: the next change tries again.
  }
}
