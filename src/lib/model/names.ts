import type * as z from 'zod/mini'
import type { qubeNameSchema } from './name-schema.ts'

/** Names that Qubes reserves, compared without case (core-admin, qubes/vm/qubesvm.py `validate_name`). */
const RESERVED = new Set(['none', 'default', 'domain-0', 'lib'])

/**
 * Whether a text can be the name of a qube: at most 31 characters, a letter first, then letters, digits, `_`, `.`
 * and `-`. A name that ends in `-dm` is a stub domain's, which a user never names.
 */
export function isQubeName(text: string): boolean {
  return (
    /^[a-zA-Z][a-zA-Z0-9_.-]{0,30}$/.test(text) && !RESERVED.has(text.toLowerCase()) && !text.endsWith('-dm')
  )
}

/** A name that a qube can have; dom0 included. */
export type QubeName = z.infer<typeof qubeNameSchema>

/** @returns the name, or undefined where it cannot be one */
export function parseQubeName(text: string): QubeName | undefined {
  return isQubeName(text) ? (text as QubeName) : undefined
}

export const DOM0 = 'dom0' as QubeName

/** Disposables are named by qubesd: `disp` and a number of up to four digits. */
export function isDisposableName(name: string): boolean {
  return /^disp[0-9]{1,4}$/.test(name)
}
