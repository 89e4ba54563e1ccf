import { QusbError } from '../lib/errors.ts'
import { readSmallFile } from '../lib/site/site.ts'

/** More than a list that a person keeps, bytes. */
const INPUT_LIMIT = 64 * 1024

/**
 * The text of a file, or of stdin.
 * @param file undefined or `-`: stdin, which must not be a terminal
 * @throws QusbError USAGE when it cannot be read or is too large
 */
export async function readInput(file: string | undefined): Promise<string> {
  if (file !== undefined && file !== '-') return readSmallFile(file, 'FILE')
  if (process.stdin.isTTY === true) {
    throw new QusbError('USAGE', 'FILE is missing', { hint: 'Name a file, or put it on stdin.' })
  }
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of process.stdin) {
    length += chunk.length
    if (length > INPUT_LIMIT) throw tooLong()
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function tooLong(): QusbError {
  return new QusbError('USAGE', `stdin has more than ${INPUT_LIMIT} bytes`, {
    hint: 'That is more than any list of devices: see that the right file is read.',
  })
}
