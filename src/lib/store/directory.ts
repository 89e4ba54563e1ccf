import { chmodSync, mkdirSync, type Stats, statSync } from 'node:fs'
import { QusbError } from '../errors.ts'
import { SET_UP } from '../site/standpoint.ts'
import { errnoOf, storeError } from './failure.ts'

/** Members of the directory's group read and write, what they make takes its group (setgid), others have nothing. */
const DIRECTORY_MODE = 0o2770

/**
 * Makes a directory of the store where it is missing; its parent must be there.
 * @throws QusbError STORE when it cannot be made, or cannot be trusted
 */
export function ensureDirectory(directory: string): Stats {
  const there = checkDirectory(directory)
  if (there !== undefined) return there
  try {
    mkdirSync(directory, { mode: DIRECTORY_MODE & 0o777 })
    // mkdir(2) drops the setgid bit and applies the umask.
    chmodSync(directory, DIRECTORY_MODE)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw refuseToMake(directory, error)
  }
  const made = checkDirectory(directory)
  if (made === undefined) throw refuseToMake(directory, new Error('it vanished'))
  return made
}

function refuseToMake(directory: string, cause: unknown): QusbError {
  const error = storeError('make the directory', directory, cause)
  return new QusbError('STORE', error.message, {
    hint: `Run ${SET_UP}: it makes ${directory}.`,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    cause,
  })
}

/**
 * Looks whether a directory of the store can be trusted.
 *
 * Trust is the directory's: everybody in its group may replace any file in it (who may call qrexec-client may), so
 * the owner of a single file says nothing, and is whoever wrote last. What counts is that nobody else could have:
 * the directory belongs to root or to the user who runs qusb, and others may not write it.
 * @returns undefined where there is none
 * @throws QusbError STORE
 */
export function checkDirectory(directory: string): Stats | undefined {
  let stat: Stats | undefined
  try {
    stat = statSync(directory, { throwIfNoEntry: false })
  } catch (error) {
    throw storeError('look at', directory, error)
  }
  if (stat === undefined) return undefined
  if (!stat.isDirectory()) {
    throw new QusbError('STORE', `${directory} is not a directory`, {
      hint: `Move it away, then run ${SET_UP}.`,
    })
  }
  if ((stat.mode & 0o002) !== 0) {
    throw new QusbError(
      'STORE',
      `${directory} can be written by everybody, so nothing in it can be trusted`,
      {
        hint: `Look at what is in it, then: sudo chmod 2770 ${directory}`,
      },
    )
  }
  const me = process.geteuid?.() ?? 0
  if (stat.uid !== 0 && stat.uid !== me) {
    throw new QusbError('STORE', `${directory} belongs to user ${stat.uid}, neither to root nor to you`, {
      hint: `Look at what is in it, then: sudo chown root ${directory}`,
    })
  }
  return stat
}
