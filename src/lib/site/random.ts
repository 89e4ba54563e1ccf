import { closeSync, openSync, readSync } from 'node:fs'

/**
 * Random bytes of the kernel, as hex digits: for names that nobody can foresee.
 *
 * Read from the device: node:crypto would cost every start 5 ms, more than a whole parse of a survey.
 * @param bytes how many; twice as many digits come back
 */
export function randomHex(bytes: number): string {
  const fd = openSync('/dev/urandom', 'r')
  try {
    const random = Buffer.alloc(bytes)
    if (readSync(fd, random) !== bytes) throw new Error('/dev/urandom gave less than it was asked for')
    return random.toString('hex')
  } finally {
    closeSync(fd)
  }
}
