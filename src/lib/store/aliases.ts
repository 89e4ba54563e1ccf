import { closeSync, constants } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { QusbError } from '../errors.ts'
import type { Alias } from '../model/alias.ts'
import { aliasSchema } from '../model/alias-record.ts'
import { ONCE, tellFirstIssue } from '../model/parsing.ts'
import type { Site } from '../site/site.ts'
import { CONFIG_FILE_MODE, withConfigLock } from './config-lock.ts'
import { checkDirectory } from './directory.ts'
import { errnoOf, storeError } from './failure.ts'
import { openPlainFile, type PlainFile, readWhole } from './plain-file.ts'
import { removeTemporaries, replaceFile } from './replace-file.ts'

/** The most that the file may hold, bytes: more than a person gives names to. */
const FILE_LIMIT = 256 * 1024

/** The file of the users' own names for devices. */
export function aliasFileSchema() {
  return z.strictObject({
    schema: z.literal(1),
    aliases: z.array(aliasSchema()).check(
      z.maxLength(256),
      z.refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'a name comes twice'),
    ),
  })
}

export function aliasFileOf(site: Site): string {
  return join(site.configDir, 'aliases.json')
}

/**
 * The aliases there are; none where there is no file.
 * @throws QusbError STORE when the file cannot be read, is not valid, or could have been written by others
 */
export function readAliases(site: Site): readonly Alias[] {
  const file = aliasFileOf(site)
  let opened: PlainFile
  try {
    if (checkDirectory(site.configDir) === undefined) return []
    opened = openPlainFile(file, constants.O_RDONLY)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw storeError('read', file, error)
  }
  try {
    return parseAliases(readWhole(file, opened, FILE_LIMIT).toString('utf8'), file)
  } finally {
    closeSync(opened.fd)
  }
}

/**
 * Changes the aliases while nobody else does. On an error the old file is as it was.
 * @param change from the aliases as they are to those that shall be; returning what it got writes nothing
 * @throws QusbError STORE; the signal's reason; what `change` throws
 */
export async function updateAliases(
  site: Site,
  signal: AbortSignal,
  change: (aliases: readonly Alias[]) => readonly Alias[],
): Promise<void> {
  await withConfigLock(site, 'aliases', signal, () => {
    removeTemporaries(site.configDir)
    const before = readAliases(site)
    const after = change(before)
    if (after !== before) replaceFile(aliasFileOf(site), formatAliases(after), { mode: CONFIG_FILE_MODE })
  })
}

/** What can be read again, or nothing. @throws QusbError STORE */
function formatAliases(aliases: readonly Alias[]): string {
  const parsed = aliasFileSchema().safeParse({ schema: 1, aliases }, ONCE)
  const content = parsed.success ? `${JSON.stringify(parsed.data, null, 2)}\n` : ''
  if (parsed.success && Buffer.byteLength(content) <= FILE_LIMIT) return content
  throw new QusbError('STORE', 'there are too many aliases, or one has too many devices', {
    hint: 'Remove those that you no longer use: qusb alias list',
  })
}

function parseAliases(content: string, file: string): readonly Alias[] {
  const hint = 'Mend it, or move it away: no alias is known while it is so.'
  let value: unknown
  try {
    value = JSON.parse(content)
  } catch (error) {
    throw new QusbError('STORE', `${file} is not JSON`, {
      hint,
      detail: (error as Error).message,
      cause: error,
    })
  }
  const later = z.object({ schema: z.int().check(z.minimum(2)) }).safeParse(value, ONCE)
  if (later.success) {
    throw new QusbError('STORE', `${file} was written by a later qusb (schema ${later.data.schema})`, {
      hint: 'Update qusb; the file was left as it is.',
    })
  }
  const parsed = aliasFileSchema().safeParse(value, ONCE)
  if (parsed.success) return parsed.data.aliases
  throw new QusbError('STORE', `${file} is not valid${tellFirstIssue(parsed.error)}`, { hint })
}
