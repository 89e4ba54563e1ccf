import { isUtf8 } from 'node:buffer'
import * as z from 'zod/mini'
import { type AttachmentRecord, attachmentRecordSchema } from '../model/attachment.ts'
import { tellFirstIssue, WORDS } from '../model/parsing.ts'
import { formatLine } from './line.ts'

/** The schema that this qusb writes. A change of the record's fields needs the next number and a migration. */
export const STATE_SCHEMA = 1

/** More than any dom0 will see; what would exceed it is a runaway script. */
export const MOST_ATTACHMENTS = 20_000

export const stateSchema = z.object({
  schema: z.literal(STATE_SCHEMA),
  /** The boot in which the file was written last; each record carries its own. */
  bootId: z.string().check(z.maxLength(64)),
  attachments: z.array(attachmentRecordSchema).check(z.maxLength(MOST_ATTACHMENTS)),
})

/** What the store holds. Nobody changes one in place. */
export interface State {
  readonly schema: typeof STATE_SCHEMA
  readonly bootId: string
  readonly attachments: readonly AttachmentRecord[]
}

/** Brings a state from the schema that is its key to the next one; what it gets may be damaged in any way. */
type Migration = (old: Record<string, unknown>) => Record<string, unknown>

/** A file without a schema number counts as 0: the bare list, before there was a number. */
const MIGRATIONS: Readonly<Record<number, Migration>> = {
  0: (old) => ({ ...old, schema: 1, bootId: '' }),
}

/**
 * Below this size, bytes, a file is checked without zod's compiler: compiling the schema takes some ms, which is more
 * than it saves on some hundred records.
 */
const COMPILE_FROM = 64 * 1024

export type ParsedState =
  | { kind: 'valid'; state: State; migrated: boolean }
  /** `state` holds what can be read of it. */
  | { kind: 'damaged'; state: State; why: string }
  /** A later qusb wrote it: not ours to touch. */
  | { kind: 'later'; schema: number }

export function emptyState(bootId: string): State {
  return { schema: STATE_SCHEMA, bootId, attachments: [] }
}

/** Reads a state file's content; never throws, whatever is in it. */
export function parseState(content: Buffer): ParsedState {
  if (content.length === 0) return damaged('it is empty')
  if (!isUtf8(content)) return damaged('it is not UTF-8 text')
  let value: unknown
  try {
    value = JSON.parse(content.toString('utf8'))
  } catch {
    return damaged('it is not JSON, or only the beginning of it')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return damaged('it is no JSON object')
  return readSchema(value as Record<string, unknown>, content.length < COMPILE_FROM)
}

function readSchema(value: Record<string, unknown>, jitless: boolean): ParsedState {
  const schema = Object.hasOwn(value, 'schema') ? value.schema : 0
  if (typeof schema !== 'number' || !Number.isSafeInteger(schema) || schema < 0) {
    return damaged('its schema is no number')
  }
  if (schema > STATE_SCHEMA) return { kind: 'later', schema }
  const current = migrate(value, schema)
  const parsed = stateSchema.safeParse(current, { ...WORDS, jitless })
  if (!parsed.success) return salvage(current, parsed.error)
  return withoutTwins(parsed.data, schema !== STATE_SCHEMA)
}

function migrate(value: Record<string, unknown>, from: number): Record<string, unknown> {
  let state = value
  for (let schema = from; schema < STATE_SCHEMA; schema++) {
    const migration = MIGRATIONS[schema]
    if (migration === undefined) throw new Error(`no migration from schema ${schema}`)
    state = migration(state)
  }
  return state
}

/** Keeps the records that are valid: one that is not takes no other with it. */
function salvage(value: Record<string, unknown>, error: z.core.$ZodError): ParsedState {
  const why = `it is not valid${tellFirstIssue(error)}`
  if (!Array.isArray(value.attachments)) return damaged(why)
  const attachments = value.attachments.flatMap((record) => {
    const parsed = attachmentRecordSchema.safeParse(record)
    return parsed.success ? [parsed.data] : []
  })
  const bootId = stateSchema.shape.bootId.safeParse(value.bootId)
  return {
    kind: 'damaged',
    state: {
      schema: STATE_SCHEMA,
      bootId: bootId.success ? bootId.data : '',
      attachments: firstOfEach(attachments).slice(0, MOST_ATTACHMENTS),
    },
    why,
  }
}

function withoutTwins(state: State, migrated: boolean): ParsedState {
  const attachments = firstOfEach(state.attachments)
  if (attachments.length === state.attachments.length) return { kind: 'valid', state, migrated }
  return { kind: 'damaged', state: { ...state, attachments }, why: 'two records have the same id' }
}

function firstOfEach(records: readonly AttachmentRecord[]): AttachmentRecord[] {
  const ids = new Set<string>()
  return records.filter((record) => ids.size < ids.add(record.id).size)
}

function damaged(why: string): ParsedState {
  return { kind: 'damaged', state: emptyState(''), why }
}

/** Writes a state for a file that a person can read: one record a line, in the order given. */
export function formatState(state: State): string {
  const records = state.attachments.map((record) => `    ${formatLine(record)}`)
  const list = records.length === 0 ? '[]' : `[\n${records.join(',\n')}\n  ]`
  return `{\n  "schema": ${state.schema},\n  "bootId": ${formatLine(state.bootId)},\n  "attachments": ${list}\n}\n`
}
