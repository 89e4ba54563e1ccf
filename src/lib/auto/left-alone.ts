import { closeSync, constants } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { portSchema, qubeNameSchema, usbNumberSchema } from '../model/fields.ts'
import { DOM0 } from '../model/names.ts'
import { ONCE } from '../model/parsing.ts'
import type { Sight } from '../passthrough/sight.ts'
import type { Site } from '../site/site.ts'
import { openPlainFile, readWhole } from '../store/plain-file.ts'
import { replaceFile } from '../store/replace-file.ts'
import type { Plugging } from './plugging.ts'

/** A device at its place, from its plug to its unplug: another plug has another number, another start another domain. */
const leftSchema = z.strictObject({
  backend: qubeNameSchema,
  domain: z.nullable(z.int().check(z.nonnegative())),
  port: portSchema,
  devnum: z.nullable(usbNumberSchema),
})
type Left = z.infer<typeof leftSchema>
const fileSchema = z.strictObject({
  schema: z.literal(1),
  left: z.array(leftSchema).check(z.maxLength(4096)),
})

const FILE_LIMIT = 1024 * 1024

/**
 * What a person took back or refused, kept in the runtime directory: a watcher that is started anew must not attach it
 * again. It is gone with the boot, as the devices' numbers are.
 */
export class LeftAlone {
  readonly #file: string
  #text: string
  #left: readonly Left[]

  constructor(site: Site) {
    this.#file = join(site.runDir, 'left-alone.json')
    this.#text = read(this.#file)
    this.#left = parse(this.#text)
  }

  /** Whether it was left alone by the watcher before this one. */
  has({ device }: Plugging, sight: Pick<Sight, 'qubes'>): boolean {
    const now = leftOf(device, sight)
    return this.#left.some(
      ({ backend, domain, port, devnum }) =>
        backend === now.backend && domain === now.domain && port === now.port && devnum === now.devnum,
    )
  }

  /** Writes down what is left alone now, where that is something else than before. @throws QusbError STORE */
  keep(pluggings: Iterable<Plugging>, sight: Pick<Sight, 'qubes'>): void {
    const left = [...pluggings].flatMap(({ device, state }) =>
      state.kind === 'closed' && state.why !== 'failed' ? [leftOf(device, sight)] : [],
    )
    const text = `${JSON.stringify({ schema: 1, left })}\n`
    if (text === this.#text || (left.length === 0 && this.#text === '')) return
    replaceFile(this.#file, text)
    this.#text = text
  }
}

function leftOf({ backend, port, devnum }: Plugging['device'], sight: Pick<Sight, 'qubes'>): Left {
  return {
    backend,
    port,
    devnum,
    domain: backend === DOM0 ? null : (sight.qubes.get(backend)?.domainId ?? null),
  }
}

/** What cannot be read is nothing: at worst a device is attached that its rule allows. */
function read(file: string): string {
  try {
    const opened = openPlainFile(file, constants.O_RDONLY)
    try {
      return readWhole(file, opened, FILE_LIMIT).toString('utf8')
    } finally {
      closeSync(opened.fd)
    }
  } catch {
    return ''
  }
}

function parse(text: string): readonly Left[] {
  try {
    return fileSchema.parse(JSON.parse(text), ONCE).left
  } catch {
    return []
  }
}
