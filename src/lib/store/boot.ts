import { readFileSync } from 'node:fs'
import { QusbError } from '../errors.ts'
import type { Site } from '../site/site.ts'
import { storeError } from './failure.ts'

/**
 * The id of this boot of dom0: a record with another one is of an attachment that did not survive.
 * @throws QusbError STORE
 */
export function readBootId(site: Site): string {
  let text: string
  try {
    text = readFileSync(site.bootIdFile, 'latin1').trim()
  } catch (error) {
    throw storeError('read the boot id', site.bootIdFile, error)
  }
  if (/^[0-9A-Za-z-]{1,64}$/.test(text)) return text
  throw new QusbError('STORE', `${site.bootIdFile} holds no boot id`)
}
