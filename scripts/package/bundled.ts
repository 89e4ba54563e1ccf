import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'

/** A package of others that a bundle has code of. */
export interface Bundled {
  name: string
  version: string
  /** SPDX. */
  licence: string
  /** Its licence and notice files, whole. */
  texts: string[]
  /** The digest of its archive in the lockfile, `sha512-BASE64`. */
  integrity: string
  /** The packages that its code imports: directories, as the keys of the map. */
  uses: string[]
}

/** Those whose terms allow it to be part of a program under GPL-2.0-or-later (Apache-2.0: under version 3 of it). */
const COMPATIBLE = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT']

const LICENCE_FILE = /^(licen[cs]e|copying|notice)([.-].*)?$/i

/**
 * The packages whose code is in the bundles, by their directories below the root, sorted.
 * @param root the directory of node_modules and package-lock.json
 * @throws Error for a package without a licence, or whose licence is not known to be compatible
 */
export function findBundled(root: string, metafiles: readonly Metafile[]): Map<string, Bundled> {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const uses = new Map<string, Set<string>>()
  for (const { inputs, outputs } of metafiles) {
    for (const output of Object.values(outputs)) {
      for (const [file, { bytesInOutput }] of Object.entries(output.inputs)) {
        const directory = packageOf(file)
        // What tree-shaking left nothing of is not in it.
        if (directory === undefined || bytesInOutput === 0) continue
        const used = uses.get(directory) ?? new Set()
        for (const { path } of inputs[file]?.imports ?? []) {
          const other = packageOf(path)
          if (other !== undefined && other !== directory) used.add(other)
        }
        uses.set(directory, used)
      }
    }
  }
  const sorted = [...uses].sort(([a], [b]) => (a < b ? -1 : 1))
  return new Map(
    sorted.map(([directory, used]) => {
      const integrity = lock.packages[directory]?.integrity
      if (typeof integrity !== 'string') throw new Error(`${directory} is not in package-lock.json`)
      const known = [...used].filter((other) => uses.has(other)).sort()
      return [directory, { ...readPackage(root, directory), integrity, uses: known }]
    }),
  )
}

/** The packages that our own files in the bundles import. */
export function findDirect(metafiles: readonly Metafile[], bundled: ReadonlyMap<string, Bundled>): string[] {
  const direct = new Set<string>()
  for (const { inputs } of metafiles) {
    for (const [file, { imports }] of Object.entries(inputs)) {
      if (packageOf(file) !== undefined) continue
      for (const { path } of imports) {
        const directory = packageOf(path)
        if (directory !== undefined && bundled.has(directory)) direct.add(directory)
      }
    }
  }
  return [...direct].sort()
}

/** `node_modules/a/node_modules/@b/c` of a file in it; undefined for our own. */
function packageOf(file: string): string | undefined {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0]
}

function readPackage(
  root: string,
  directory: string,
): Pick<Bundled, 'name' | 'version' | 'licence' | 'texts'> {
  const { name, version, license } = JSON.parse(readFileSync(join(root, directory, 'package.json'), 'utf8'))
  if (typeof license !== 'string' || !COMPATIBLE.includes(license)) {
    throw new Error(
      `${directory}: its licence, ${JSON.stringify(license)}, is none of ${COMPATIBLE.join(', ')}`,
    )
  }
  const texts = readdirSync(join(root, directory))
    .filter((file) => LICENCE_FILE.test(file))
    .sort()
    .map((file) => readFileSync(join(root, directory, file), 'utf8').trim())
    .filter((text) => text !== '')
  if (texts.length === 0) throw new Error(`${directory} comes without the text of its licence`)
  return { name, version, licence: license, texts }
}
