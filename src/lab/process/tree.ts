import { mkdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
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
  mkdirSync(dirname(at), { recursive: true })
  rmSync(at, { force: true })
  symlinkSync(relative(dirname(at), to), at)
}

export function remove(...paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { recursive: true, force: true })
}

/** Where a link points, or null when there is none. */
export function readLink(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch {
    return null
  }
}
