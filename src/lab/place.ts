import { lstatSync, mkdirSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { LabError } from './errors.ts'

/** A name for a lab, which is also a directory's. */
export const LAB_NAME = /^[a-z0-9][a-z0-9_-]{0,30}$/

/**
 * The directory that holds this user's labs: `$QUSB_LAB_DIR`, or one below the runtime or temporary directory.
 * It is made when missing, and refused when somebody else could have made it.
 * @throws LabError
 */
export function openLabsDirectory(env: NodeJS.ProcessEnv): string {
  const uid = process.getuid?.() ?? 0
  const dir = env.QUSB_LAB_DIR
    ? resolve(env.QUSB_LAB_DIR)
    : join(env.XDG_RUNTIME_DIR || tmpdir(), `qusb-lab-${uid}`)
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

/** Names of this user's labs, running or left over. */
export function listLabs(env: NodeJS.ProcessEnv): readonly string[] {
  return readdirSync(openLabsDirectory(env)).filter((name) => LAB_NAME.test(name))
}
