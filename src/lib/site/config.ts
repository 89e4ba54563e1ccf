import { existsSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { QusbError } from '../errors.ts'
import { qubeNameSchema } from '../model/name-schema.ts'
import type { QubeName } from '../model/names.ts'
import { parseJsonFile, readSmallFile, type Site } from './site.ts'

/** What holds where the configuration says nothing. */
export const DEFAULT_CONFIG = {
  /** How long an attach or detach may take, seconds. */
  timeout: 60,
  history: {
    enabled: true,
    /** Events kept in a file before it is rotated; two files are kept. */
    events: 2000,
    /** Whether events that name a disposable reach the disk. */
    disposables: true,
  },
}

/** The user's configuration. */
export type Config = typeof DEFAULT_CONFIG & {
  /** The qubes that have USB controllers; without it the running ones among sys-usb, sys-usb-… and sys-net. */
  backends?: QubeName[] | undefined
}

/** What `config.json` in the configuration directory may say. Everything may be left out. */
export function configFileSchema() {
  return z.strictObject({
    backends: z.optional(z.array(qubeNameSchema).check(z.maxLength(64))),
    timeout: z.optional(z.int().check(z.minimum(1), z.maximum(600))),
    history: z.optional(
      z.strictObject({
        enabled: z.optional(z.boolean()),
        events: z.optional(z.int().check(z.minimum(10), z.maximum(100_000))),
        disposables: z.optional(z.boolean()),
      }),
    ),
  })
}

/**
 * @returns the configuration, or its defaults where there is no file
 * @throws QusbError USAGE when the file is not valid
 */
export function loadConfig(site: Site): Config {
  const file = join(site.configDir, 'config.json')
  if (!existsSync(file)) return DEFAULT_CONFIG
  return configFrom(parseJsonFile(configFileSchema(), readSmallFile(file, 'configuration'), file))
}

/** A configuration that is the default, but for what is said. */
export function configFrom(said: z.infer<ReturnType<typeof configFileSchema>>): Config {
  return { ...DEFAULT_CONFIG, ...said, history: { ...DEFAULT_CONFIG.history, ...said.history } } as Config
}

/** The same, for who looks for faults: where the file is not valid, the defaults and why. */
export function loadConfigOrDefaults(site: Site): { config: Config; fault: QusbError | undefined } {
  try {
    return { config: loadConfig(site), fault: undefined }
  } catch (error) {
    if (!(error instanceof QusbError)) throw error
    return { config: DEFAULT_CONFIG, fault: error }
  }
}
