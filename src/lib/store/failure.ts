import { QusbError } from '../errors.ts'
import { SET_UP } from '../site/standpoint.ts'

const SETUP = `run ${SET_UP}: it makes the directories and their modes.`

const HINTS: Partial<Record<string, string>> = {
  EACCES: `Run qusb as root or as a member of the group that owns the directory, or ${SETUP}`,
  EPERM: `Run qusb as root or as a member of the group that owns the directory, or ${SETUP}`,
  ENOENT: `As root, ${SETUP}`,
  ENOTDIR: `As root, ${SETUP}`,
  ENOSPC: 'Make room on that disk and try again: what was recorded before is unharmed.',
  EDQUOT: 'Make room in your disk quota and try again: what was recorded before is unharmed.',
  EFBIG: 'A limit on file sizes (ulimit -f) stands in the way: what was recorded before is unharmed.',
  EROFS: 'That file system is mounted read-only: what was recorded before is unharmed.',
  EIO: 'The disk reports an error: see `sudo dmesg`. What was recorded before was not touched.',
  ELOOP: 'qusb follows no symbolic link there: find out who made it, then remove the link.',
}

/**
 * A failed system call as the STORE error that a user meets.
 * @param doing what qusb was about, as in `cannot DOING FILE`
 * @param cause a QusbError is handed on as it is
 */
export function storeError(doing: string, file: string, cause: unknown): QusbError {
  if (cause instanceof QusbError) return cause
  const code = errnoOf(cause)
  const reason = code === 'ELOOP' ? 'it is a symbolic link' : (code ?? 'unknown reason')
  return new QusbError('STORE', `cannot ${doing} ${file}: ${reason}`, {
    ...(code !== undefined && HINTS[code] !== undefined ? { hint: HINTS[code] } : {}),
    detail: cause instanceof Error ? cause.message : String(cause),
    cause,
  })
}

/** The name of a system call's error, `ENOENT`, or undefined where it is none. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
