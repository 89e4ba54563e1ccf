import { existsSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { qubeNameSchema } from '../model/fields.ts'
import { ONCE } from '../model/parsing.ts'
import { parseJsonFile, readSmallFile, type Site } from './site.ts'

/** One file that `qusb setup backend` has put into a qube: only while it is still that, it is changed or removed. */
const installedFileSchema = z.strictObject({
  qube: qubeNameSchema,
  path: z.string().check(z.regex(/^\/[A-Za-z0-9_./@-]{1,200}$/)),
  /** `link` for a symbolic link. */
  sha256: z.string().check(z.regex(/^([0-9a-f]{64}|link)$/)),
})
export type InstalledFile = z.infer<typeof installedFileSchema>

/** What is installed where, for each USB qube that is set up. */
export const manifestSchema = z.strictObject({
  schema: z.literal(1),
  backends: z
    .array(
      z.strictObject({ backend: qubeNameSchema, files: z.array(installedFileSchema).check(z.maxLength(64)) }),
    )
    .check(z.maxLength(64)),
})
export type Manifest = z.infer<typeof manifestSchema>

export function manifestFileOf(site: Site): string {
  return join(site.setupDir, 'installed.json')
}

/** @throws QusbError USAGE when the file is not valid */
export function readManifest(site: Site): Manifest {
  const file = manifestFileOf(site)
  if (!existsSync(file)) return { schema: 1, backends: [] }
  return parseJsonFile(manifestSchema, readSmallFile(file, 'what is installed'), file)
}

export function formatManifest(manifest: Manifest): string {
  return `${JSON.stringify(manifestSchema.parse(manifest, ONCE), null, 2)}\n`
}

/** The manifest with what is now installed for one backend; without any files it is no longer set up. Pure. */
export function withBackend(
  manifest: Manifest,
  backend: Manifest['backends'][number]['backend'],
  files: readonly InstalledFile[],
): Manifest {
  const others = manifest.backends.filter((each) => each.backend !== backend)
  const backends = files.length === 0 ? others : [...others, { backend, files: [...files] }]
  return { ...manifest, backends: backends.sort((a, b) => (a.backend < b.backend ? -1 : 1)) }
}
