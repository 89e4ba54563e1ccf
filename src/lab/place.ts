import { accessSync, constants, lstatSync, mkdirSync, readFileSync, realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { LabError } from './errors.ts'

/** A name for a lab, which is also a directory's. */
export const LAB_NAME = /^[a-z0-9][a-z0-9_-]{0,30}$/

/** Where memory serves as a disk on most systems: a lab is thousands of small files. */
const MEMORY = '/dev/shm'

/** Whether programs can be started from a directory, by the options of what is mounted there. */
function allowsPrograms(dir: string): boolean {
  try {
    const real = realpathSync(dir)
    const mounts = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, point = '']) => real === point || real.startsWith(point === '/' ? '/' : `${point}/`))
      .sort(([, one = ''], [, other = '']) => one.length - other.length)
    const options = mounts.at(-1)?.[3]?.split(',') ?? []
    accessSync(real, constants.W_OK)
    return !options.includes('noexec') && !options.includes('ro')
  } catch {
    return false
  }
}

/** The first of the runtime directory, shared memory and the temporary directory that serves. */
function chooseHome(env: NodeJS.ProcessEnv): string {
  const candidates = [env.XDG_RUNTIME_DIR ?? '', MEMORY].filter((dir) => isAbsolute(dir))
  return candidates.find(allowsPrograms) ?? tmpdir()
}

/**
 * The directory that holds this user's labs: `$QUSB_LAB_DIR`, or one below the runtime directory, shared memory
 * or the temporary directory, whichever is there first and lets programs start.
 * It is made when missing, and refused when somebody else could have made it.
 * @throws LabError
 */
export function openLabsDirectory(env: NodeJS.ProcessEnv): string {
  const uid = process.getuid?.() ?? 0
  const dir = env.QUSB_LAB_DIR ? resolve(env.QUSB_LAB_DIR) : join(chooseHome(env), `qusb-lab-${uid}`)
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const stat = lstatSync(dir)
  if (!stat.isDirectory() || stat.uid !== uid || (stat.mode & 0o022) !== 0) {
    throw new LabError(`${dir} is not a directory that only this user may write.`)
  }
  return dir
}

/**
 * The directory of one lab, whether it exists or not.
 * @throws LabError for an impossible name
 */
export function findLabDirectory(env: NodeJS.ProcessEnv, name: string): string {
  if (!LAB_NAME.test(name))
    throw new LabError(`${name} is not a name for a lab: small letters, digits, - and _.`)
  return join(openLabsDirectory(env), name)
}
