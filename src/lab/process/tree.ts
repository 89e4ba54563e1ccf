import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** Writes attributes as sysfs shows them, each ended by a newline; null leaves one out. */
export function writeAttributes(
  dir: string,
  attributes: Readonly<Record<string, string | Buffer | null>>,
): void {
  mkdirSync(dir, { recursive: true })
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null) continue
    writeFileSync(join(dir, name), typeof value === 'string' ? `${value}\n` : value)
  }
}

/** Makes a relative symbolic link at `at` to `to`, both absolute; replaces one that is there. */
export function link(at: string, to: string): void {
  const target = relative(dirname(at), to)
  try {
    symlinkSync(target, at)
  } catch (error) {
    // Mostly nothing is in the way, so looking first would cost more.
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') mkdirSync(dirname(at), { recursive: true })
    else if (code === 'EEXIST') rmSync(at)
    else throw error
    symlinkSync(target, at)
  }
}

export function remove(...paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { recursive: true, force: true })
}
