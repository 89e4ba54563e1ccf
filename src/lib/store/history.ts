import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  readSync,
  renameSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { type HistoryEvent, historyEventSchema } from '../model/event.ts'
import { isDisposableName } from '../model/names.ts'
import type { Config } from '../site/config.ts'
import type { Site } from '../site/site.ts'
import { checkDirectory, ensureDirectory } from './directory.ts'
import { errnoOf, storeError } from './failure.ts'
import { formatLine } from './line.ts'
import { openPlainFile, type PlainFile, shareWithGroup } from './plain-file.ts'
import { writeAll } from './replace-file.ts'
import { type StoreLockOptions, withStoreLock } from './store-lock.ts'

/** The longest line that can be an event, bytes: its texts at their limits, every character escaped. */
const LINE_LIMIT = 8192

/** The most that is read of one file, bytes: more than the longest history takes. */
const READ_LIMIT = 64 * 1024 * 1024

const CHUNK = 64 * 1024

function historyFileOf(site: Site): string {
  return join(site.stateDir, 'history.jsonl')
}

/** The file before the last rotation. */
function olderHistoryFileOf(site: Site): string {
  return join(site.stateDir, 'history.1.jsonl')
}

/**
 * Adds events to the history, in the order given. Does nothing when the history is off, and leaves out events that
 * name a disposable when those are to stay off the disk.
 * @throws QusbError STORE; the signal's reason
 */
export async function appendHistory(
  site: Site,
  config: Config['history'],
  events: readonly HistoryEvent[],
  options: StoreLockOptions = {},
): Promise<void> {
  const append = prepareHistory(site, config, events)
  if (append !== undefined) await withStoreLock(site, options, append)
}

/**
 * The same for who changes the state in the same breath: each taking of the lock costs as much as all the rest.
 * @returns what adds the events, to be called under the store's lock; undefined where there is nothing to add
 */
export function prepareHistory(
  site: Site,
  config: Config['history'],
  events: readonly HistoryEvent[],
): (() => void) | undefined {
  const kept = config.enabled ? events.filter((event) => config.disposables || !namesDisposable(event)) : []
  if (kept.length === 0) return undefined
  const lines = kept.map((event) => `${formatLine(historyEventSchema.parse(event))}\n`)
  const { gid } = ensureDirectory(site.stateDir)
  return () => {
    try {
      for (let done = 0; done < lines.length; )
        done += appendSome(site, gid, lines.slice(done), config.events)
    } catch (error) {
      throw storeError('write', historyFileOf(site), error)
    }
  }
}

function namesDisposable(event: HistoryEvent): boolean {
  return isDisposableName(event.frontend) || isDisposableName(event.backend)
}

/**
 * Appends what still fits into the file, or rotates a full one.
 * @param most events in a file
 * @returns how many were written
 */
function appendSome(site: Site, group: number, lines: readonly string[], most: number): number {
  const file = historyFileOf(site)
  const { O_RDWR, O_APPEND, O_CREAT } = constants
  const opened = openPlainFile(file, O_RDWR | O_APPEND | O_CREAT)
  try {
    shareWithGroup(opened.fd, group)
    const there = countLines(opened)
    if (there.lines >= most) {
      renameSync(file, olderHistoryFileOf(site))
      return 0
    }
    const chosen = lines.slice(0, most - there.lines)
    // After a torn line a new one begins, so that the tear costs one event and not two.
    appendWhole(opened, (there.torn ? '\n' : '') + chosen.join(''))
    return chosen.length
  } finally {
    closeSync(opened.fd)
  }
}

/** Appends all of a text or, where the disk is full, nothing. */
function appendWhole({ fd, stat }: PlainFile, text: string): void {
  try {
    writeAll(fd, Buffer.from(text))
    fsyncSync(fd)
  } catch (error) {
    ftruncateSync(fd, stat.size)
    throw error
  }
}

/** Counts the lines of a file; `torn`: the last one has no end. */
function countLines({ fd, stat }: PlainFile): { lines: number; torn: boolean } {
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(stat.size, 1)))
  let lines = 0
  let torn = false
  for (let offset = 0; ; ) {
    const length = readSync(fd, chunk, 0, chunk.length, offset)
    if (length === 0) return { lines: lines + (torn ? 1 : 0), torn }
    const text = chunk.subarray(0, length)
    for (let at = text.indexOf(10); at >= 0; at = text.indexOf(10, at + 1)) lines++
    torn = text[length - 1] !== 10
    offset += length
  }
}

export interface HistoryView {
  /** The oldest first. */
  events: HistoryEvent[]
  /** Lines that are no event: torn by a crash, or damaged. */
  skipped: number
}

/**
 * The latest events. Takes no lock.
 * @param options.limit how many at most
 * @throws QusbError STORE
 */
export function readHistory(site: Site, options: { limit: number }): HistoryView {
  if (checkDirectory(site.stateDir) === undefined || options.limit <= 0) return { events: [], skipped: 0 }
  for (let tries = 0; ; tries++) {
    const older = openForReading(olderHistoryFileOf(site))
    const current = openForReading(historyFileOf(site))
    try {
      // A rotation between the two opens would hide a file's worth of events.
      if (tries < 5 && !isSameFile(olderHistoryFileOf(site), older)) continue
      const lines = current === undefined ? [] : readLastLines(current, options.limit)
      if (older !== undefined && lines.length < options.limit) {
        lines.unshift(...readLastLines(older, options.limit - lines.length))
      }
      return parseLines(lines)
    } catch (error) {
      throw storeError('read', historyFileOf(site), error)
    } finally {
      for (const opened of [older, current]) if (opened !== undefined) closeSync(opened.fd)
    }
  }
}

function openForReading(file: string): PlainFile | undefined {
  try {
    return openPlainFile(file, constants.O_RDONLY)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw storeError('read', file, error)
  }
}

function isSameFile(file: string, opened: PlainFile | undefined): boolean {
  return statSync(file, { throwIfNoEntry: false })?.ino === opened?.stat.ino
}

/** Reads backwards, so that a long history costs no more than what is asked for. */
function readLastLines({ fd }: PlainFile, most: number): string[] {
  const chunks: Buffer[] = []
  let newlines = 0
  let bytes = 0
  let start = fstatSync(fd).size
  while (start > 0 && newlines <= most && bytes <= Math.min(most * LINE_LIMIT, READ_LIMIT)) {
    const length = Math.min(CHUNK, start)
    const chunk = Buffer.alloc(length)
    start -= length
    bytes += readSync(fd, chunk, 0, length, start)
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) newlines++
    chunks.unshift(chunk)
  }
  const lines = Buffer.concat(chunks).toString('utf8').split('\n')
  // The first one may have lost its beginning.
  if (start > 0) lines.shift()
  return lines.filter((line) => line !== '').slice(-most)
}

function parseLines(lines: readonly string[]): HistoryView {
  const events = lines.flatMap((line) => {
    try {
      const parsed = historyEventSchema.safeParse(JSON.parse(line))
      return parsed.success ? [parsed.data] : []
    } catch {
      return []
    }
  })
  return { events, skipped: lines.length - events.length }
}
