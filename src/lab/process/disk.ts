import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { QubeDefinition } from '../file/schema.ts'

/** What of a root file system outlasts a start, where it is the qube's own: what is installed there. */
const SYSTEM = ['etc/udev/rules.d', 'etc/systemd/system', 'etc/tmpfiles.d']
const PRIVATE = ['rw']

/** Where the parts of a qube's disk come from when it starts. */
export interface DiskParts {
  /** What it finds as it left it. */
  readonly own: readonly string[]
  /** What it gets a copy of, and from which root. */
  readonly copied: readonly { readonly from: string; readonly paths: readonly string[] }[]
}

/**
 * Which parts of a qube's disk last, as in Qubes: a template and a standalone keep all; an AppVM keeps /rw and has the
 * rest from its template; a disposable has /rw from its disposable template, and the rest from that one's template.
 * @param rootOf a qube's directory
 */
export function planDisk(
  qube: QubeDefinition,
  all: readonly QubeDefinition[],
  rootOf: (name: string) => string,
): DiskParts {
  const find = (name: string | undefined): QubeDefinition | undefined =>
    all.find((each) => each.name === name)
  if (qube.class === 'TemplateVM' || qube.class === 'StandaloneVM') {
    return { own: [...PRIVATE, ...SYSTEM], copied: [] }
  }
  const above = find(qube.template)
  const system = qube.class === 'DispVM' ? (find(above?.template) ?? above) : above
  const copied = [
    ...(qube.class === 'DispVM' && above !== undefined ? [{ from: rootOf(above.name), paths: PRIVATE }] : []),
    ...(system?.class === 'TemplateVM' ? [{ from: rootOf(system.name), paths: SYSTEM }] : []),
  ]
  return { own: qube.class === 'DispVM' ? [] : PRIVATE, copied }
}

/** Clears a qube's root for its next start, but for what lasts. */
export function renewRoot(root: string, { own, copied }: DiskParts): void {
  const kept = `${root}.kept`
  rmSync(kept, { recursive: true, force: true })
  for (const path of own) move(join(root, path), join(kept, path))
  rmSync(root, { recursive: true, force: true })
  mkdirSync(root, { recursive: true, mode: 0o700 })
  for (const path of own) move(join(kept, path), join(root, path))
  rmSync(kept, { recursive: true, force: true })
  for (const { from, paths } of copied) {
    for (const path of paths) {
      if (existsSync(join(from, path))) {
        // Links stay as they are: they lead to other files of the same qube.
        cpSync(join(from, path), join(root, path), { recursive: true, verbatimSymlinks: true })
      }
    }
  }
}

function move(from: string, to: string): void {
  if (!existsSync(from)) return
  mkdirSync(dirname(to), { recursive: true })
  renameSync(from, to)
}
