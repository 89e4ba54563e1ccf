import { closeSync, constants } from 'node:fs'
import { join } from 'node:path'
import { QusbError } from '../errors.ts'
import { type AttachmentRecord, attachmentRecordSchema } from '../model/attachment.ts'
import type { Site } from '../site/site.ts'
import { readBootId } from './boot.ts'
import { chooseDamagedName, findDamaged, pruneDamaged } from './damaged.ts'
import { checkDirectory, ensureDirectory } from './directory.ts'
import { errnoOf, storeError } from './failure.ts'
import { openPlainFile, type PlainFile, readWhole } from './plain-file.ts'
import { removeTemporaries, replaceFile } from './replace-file.ts'
import {
  emptyState,
  formatState,
  MOST_ATTACHMENTS,
  type ParsedState,
  parseState,
  type State,
} from './state.ts'
import { type StoreLockOptions, withStoreLock } from './store-lock.ts'

/** The most that a state file may hold, bytes: beyond what MOST_ATTACHMENTS records take. */
const STATE_LIMIT = 32 * 1024 * 1024

/** What the store says, and what is wrong with it. */
export interface StoreView {
  state: State
  /** For the user, a sentence each. */
  warnings: string[]
  /** Records may be missing: rebuild them from what the backends say. */
  incomplete: boolean
}

export type StateChange = (records: readonly AttachmentRecord[]) => readonly AttachmentRecord[]

export function stateFileOf(site: Site): string {
  return join(site.stateDir, 'state.json')
}

/**
 * What the store holds now. Takes no lock, writes nothing: a change replaces the file as a whole.
 * @throws QusbError STORE when the file cannot be read, cannot be trusted, or is a later qusb's
 */
export function readState(site: Site): StoreView {
  const file = stateFileOf(site)
  if (checkDirectory(site.stateDir) === undefined) {
    return { state: emptyState(readBootId(site)), warnings: [], incomplete: false }
  }
  const parsed = readFile(file)
  if (parsed?.kind === 'damaged') {
    return {
      state: parsed.state,
      warnings: [`${file} is damaged: ${parsed.why}. The next change sets it aside.`],
      incomplete: true,
    }
  }
  if (parsed !== undefined) return { state: parsed.state, warnings: [], incomplete: false }
  // A crash between setting a damaged file aside and writing the new one must not pass for a fresh start.
  const copies = findDamaged(site.stateDir)
  return {
    state: emptyState(readBootId(site)),
    warnings: copies.length === 0 ? [] : [`${file} is missing, and there is ${copies.at(-1)?.name}.`],
    incomplete: copies.length > 0,
  }
}

/**
 * Changes what the store holds, while nobody else does. On an error the old file is as it was.
 * @param change from the records as they are to those that shall be, without changing any in place; called once.
 *   Returning what it got writes nothing.
 * @returns the store after the change
 * @throws QusbError STORE; the signal's reason, when that ended the waiting; what `change` throws
 */
export async function updateState(
  site: Site,
  change: StateChange,
  options: StoreLockOptions = {},
): Promise<StoreView> {
  ensureDirectory(site.stateDir)
  const bootId = readBootId(site)
  return await withStoreLock(site, options, () => applyChange(site, bootId, change))
}

function applyChange(site: Site, bootId: string, change: StateChange): StoreView {
  const file = stateFileOf(site)
  removeTemporaries(site.stateDir)
  const parsed = readFile(file)
  const before = readViewOf(site, parsed, bootId)
  const after = change(before.state.attachments)
  const settled = parsed?.kind === 'valid' && !parsed.migrated
  if (after === before.state.attachments && settled) return before
  const state = { ...emptyState(bootId), attachments: validate(before.state.attachments, after) }
  if (parsed?.kind !== 'damaged') {
    replaceFile(file, formatState(state))
    return { ...before, state }
  }
  const copy = chooseDamagedName(site.stateDir, new Date())
  replaceFile(file, formatState(state), copy)
  const removed = pruneDamaged(site.stateDir)
  return {
    state,
    warnings: [
      `${file} was damaged: ${parsed.why}. It is kept as ${copy}; ${parsed.state.attachments.length} of its records could be read.`,
      ...removed.map((name) => `${name}, the oldest of such copies, was removed.`),
    ],
    incomplete: true,
  }
}

function readViewOf(site: Site, parsed: ReadState | undefined, bootId: string): StoreView {
  if (parsed !== undefined) return { state: parsed.state, warnings: [], incomplete: false }
  const copies = findDamaged(site.stateDir)
  return {
    state: emptyState(bootId),
    warnings: copies.length === 0 ? [] : [`state.json was missing, and there is ${copies.at(-1)?.name}.`],
    incomplete: copies.length > 0,
  }
}

type ReadState = Exclude<ParsedState, { kind: 'later' }>

/** @returns undefined where there is no file */
function readFile(file: string): ReadState | undefined {
  let opened: PlainFile
  try {
    opened = openPlainFile(file, constants.O_RDONLY)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw storeError('read', file, error)
  }
  try {
    const parsed = parseState(readWhole(file, opened, STATE_LIMIT))
    if (parsed.kind !== 'later') return parsed
    throw new QusbError('STORE', `${file} was written by a later qusb (schema ${parsed.schema})`, {
      hint: 'Update qusb; the file was left as it is.',
    })
  } finally {
    closeSync(opened.fd)
  }
}

/** What is new must be what can be read again; what came out of the file already was. */
function validate(
  before: readonly AttachmentRecord[],
  after: readonly AttachmentRecord[],
): AttachmentRecord[] {
  if (after.length > MOST_ATTACHMENTS) {
    throw new QusbError('STORE', `the store holds at most ${MOST_ATTACHMENTS} attachments`, {
      hint: 'Something records attachments without end: see `qusb history`.',
    })
  }
  const known = new Set(before)
  const records = after.map((record) => (known.has(record) ? record : attachmentRecordSchema.parse(record)))
  if (new Set(records.map((record) => record.id)).size !== records.length) {
    throw new Error('two attachments with the same id')
  }
  return records
}
