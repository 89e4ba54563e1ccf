import { existsSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { QusbError } from '../errors.ts'
import { qubeNameSchema } from '../model/names.ts'
import { ONCE } from '../model/parsing.ts'
import { parseJsonFile, readSmallFile, type Site } from './site.ts'

/** The user's configuration, `config.json` in the configuration directory. Everything may be left out. */
export const configSchema = z.strictObject({
  /** The qubes that have USB controllers; without it the running ones among sys-usb, sys-usb-… and sys-net. */
  backends: z.optional(z.array(qubeNameSchema).check(z.maxLength(64))),
  /** How long an attach or detach may take, seconds. */
  timeout: z._default(z.int().check(z.minimum(1), z.maximum(600)), 60),
  history: z.prefault(
    z.strictObject({
      enabled: z._default(z.boolean(), true),
      /** Events kept in a file before it is rotated; two files are kept. */
      events: z._default(z.int().check(z.minimum(10), z.maximum(100_000)), 2000),
      /** Whether events that name a disposable reach the disk. */
      disposables: z._default(z.boolean(), true),
    }),
    {},
  ),
})
export type Config = z.infer<typeof configSchema>

/**
 * @returns the configuration, or its defaults where there is no file
 * @throws QusbError USAGE when the file is not valid
 */
export function loadConfig(site: Site): Config {
  const file = join(site.configDir, 'config.json')
  if (!existsSync(file)) return configSchema.parse({}, ONCE)
  return parseJsonFile(configSchema, readSmallFile(file, 'configuration'), file)
}

/** The same, for who looks for faults: where the file is not valid, the defaults and why. */
export function loadConfigOrDefaults(site: Site): { config: Config; fault: QusbError | undefined } {
  try {
    return { config: loadConfig(site), fault: undefined }
  } catch (error) {
    if (!(error instanceof QusbError)) throw error
    return { config: configSchema.parse({}, ONCE), fault: error }
  }
}
