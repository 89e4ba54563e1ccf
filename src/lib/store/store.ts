import { closeSync, constants } from 'node:fs'
import { join } from 'node:path'
import { QusbError } from '../errors.ts'
import { type AttachmentRecord, attachmentRecordSchema } from '../model/attachment.ts'
import { UNCOMPILED } from '../model/parsing.ts'
import { readBootId } from '../site/moment.ts'
import type { Site } from '../site/site.ts'
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
  const { view, why } = look(site)
  if (why === undefined) return view
  const warning = `${stateFileOf(site)} is damaged: ${why}. The next change sets it aside.`
  return { ...view, warnings: [...view.warnings, warning] }
}

/**
 * Changes what the store holds, while nobody else does. On an error the old file is as it was.
 * @param change from the records as they are to those that shall be, without changing any in place; called once.
 *   Returning what it got writes nothing.
 * @param options.afterwards done under the same lock once the change is on the disk: what the history is told of it
 * @returns the store after the change
 * @throws QusbError STORE; the signal's reason, when that ended the waiting; what `change` throws
 */
export async function updateState(
  site: Site,
  change: StateChange,
  options: StoreLockOptions & { afterwards?: (() => void) | undefined } = {},
): Promise<StoreView> {
  ensureDirectory(site.stateDir)
  const bootId = readBootId(site)
  // Once before the lock: what a first look costs (compiling, loading), and what it refuses, holds up nobody else.
  look(site)
  return await withStoreLock(site, options, () => {
    const view = applyChange(site, bootId, change)
    options.afterwards?.()
    return view
  })
}

function applyChange(site: Site, bootId: string, change: StateChange): StoreView {
  const file = stateFileOf(site)
  removeTemporaries(site.stateDir)
  const { view, settled, why } = look(site)
  const before = view.state.attachments
  const after = change(before)
  if (after === before && settled) return view
  const state = { ...emptyState(bootId), attachments: validate(before, after) }
  if (why === undefined) {
    replaceFile(file, formatState(state))
    return { ...view, state }
  }
  const copy = chooseDamagedName(site.stateDir, new Date())
  replaceFile(file, formatState(state), { setAside: copy })
  const warning = `${file} was damaged: ${why}. It is kept as ${copy}; ${before.length} of its records could be read.`
  const removed = pruneDamaged(site.stateDir)
  return {
    state,
    warnings: [warning, ...removed.map((name) => `${name}, the oldest of such copies, was removed.`)],
    incomplete: true,
  }
}

interface Look {
  view: StoreView
  /** The file is there, as this qusb writes it. */
  settled: boolean
  /** What is wrong with the file. */
  why?: string
}

function look(site: Site): Look {
  const there = checkDirectory(site.stateDir) !== undefined
  const parsed = there ? readStateFile(stateFileOf(site)) : undefined
  if (parsed?.kind === 'valid') {
    return { view: { state: parsed.state, warnings: [], incomplete: false }, settled: !parsed.migrated }
  }
  if (parsed !== undefined) {
    return { view: { state: parsed.state, warnings: [], incomplete: true }, settled: false, why: parsed.why }
  }
  // A crash between setting a damaged file aside and putting the new one there must not pass for a fresh start.
  const copy = there ? findDamaged(site.stateDir).at(-1) : undefined
  const warnings = copy === undefined ? [] : [`${stateFileOf(site)} was missing, and there is ${copy.name}.`]
  return {
    view: { state: emptyState(readBootId(site)), warnings, incomplete: copy !== undefined },
    settled: false,
  }
}

type ReadState = Exclude<ParsedState, { kind: 'later' }>

/** @returns undefined where there is no file */
function readStateFile(file: string): ReadState | undefined {
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
  const records = after.map((record) =>
    known.has(record) ? record : attachmentRecordSchema.parse(record, UNCOMPILED),
  )
  if (new Set(records.map((record) => record.id)).size !== records.length) {
    throw new Error('two attachments with the same id')
  }
  return records
}
