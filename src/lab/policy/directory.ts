import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type PolicyLine, PolicySyntaxError, parsePolicy } from './parse.ts'

const FILE_NAME = /^[a-z0-9_.-]+\.policy$/

/**
 * Reads all policy as qrexec does: files of every directory sorted by name, the same name in an earlier
 * directory shadowing a later one, dotfiles ignored.
 * @throws PolicySyntaxError for a syntax error anywhere, and for a file name that is not allowed
 */
export function readPolicy(dirs: readonly string[]): readonly PolicyLine[] {
  const files = new Map<string, string>()
  for (const dir of dirs) {
    for (const name of listDirectory(dir)) {
      if (name.startsWith('.') || !name.endsWith('.policy')) continue
      const path = join(dir, name)
      if (!FILE_NAME.test(name)) throw new PolicySyntaxError(path, 0, 'file name with an invalid character')
      if (!files.has(name)) files.set(name, path)
    }
  }
  return [...files.keys()].sort().flatMap((name) => {
    const path = files.get(name) ?? ''
    return parsePolicy(path, readIfThere(path))
  })
}

/** A grant may go between the listing and the reading: then it allows nothing, and spoils nothing. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

function listDirectory(dir: string): readonly string[] {
  try {
    return readdirSync(dir)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
