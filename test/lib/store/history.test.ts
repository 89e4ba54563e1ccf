import {
  appendFileSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type HistoryEvent, historyEventSchema } from '../../../src/lib/model/event.ts'
import { configFrom } from '../../../src/lib/site/config.ts'
import { appendHistory, readHistory } from '../../../src/lib/store/history.ts'
import { buildWorker, startWorker, type WorkerProgram } from './run-worker.ts'
import { makeSite, type TemporarySite } from './temporary-site.ts'

// Every start of a process waits for the crowd that another test file may have started.
vi.setConfig({ testTimeout: 180_000 })

let program: WorkerProgram
beforeAll(async () => {
  program = await buildWorker()
})
afterAll(() => program.remove())

const config = configFrom({}).history
const small = { ...config, events: 10 }

function makeEvent(number: number, changes: Record<string, unknown> = {}): HistoryEvent {
  return historyEventSchema.parse({
    at: '2026-01-02T03:04:05.678Z',
    what: 'attached',
    backend: 'sys-usb',
    port: '2-1',
    frontend: 'work',
    vendorId: '1050',
    productId: '0407',
    serial: null,
    description: `event ${number}`,
    user: 'user',
    rule: null,
    how: null,
    ...changes,
  })
}

function makeEvents(from: number, to: number): HistoryEvent[] {
  return Array.from({ length: to - from + 1 }, (_, at) => makeEvent(from + at))
}

function fileOf(site: TemporarySite): string {
  return join(site.stateDir, 'history.jsonl')
}

describe('the history', () => {
  it('is empty before anything happened, and reading makes nothing', () => {
    const site = makeSite()
    expect(readHistory(site, { limit: 10 })).toEqual({ events: [], skipped: 0 })
    expect(() => statSync(site.stateDir)).toThrow('ENOENT')
  })

  it('gives the latest events, the oldest of them first', async () => {
    const site = makeSite()
    await appendHistory(site, config, makeEvents(1, 3))
    await appendHistory(site, config, makeEvents(4, 5))
    expect(readHistory(site, { limit: 100 }).events).toEqual(makeEvents(1, 5))
    expect(readHistory(site, { limit: 2 }).events).toEqual(makeEvents(4, 5))
    expect(readHistory(site, { limit: 0 }).events).toEqual([])
    expect(statSync(fileOf(site)).mode & 0o777).toBe(0o660)
  })

  it('is bounded: two files of so many events, however they come', async () => {
    const site = makeSite()
    for (let number = 1; number <= 14; number++) await appendHistory(site, small, [makeEvent(number)])
    expect(readHistory(site, { limit: 100 }).events).toEqual(makeEvents(1, 14))
    await appendHistory(site, small, makeEvents(15, 60))
    const { events } = readHistory(site, { limit: 1000 })
    expect(events).toEqual(makeEvents(41, 60))
    expect(readHistory(site, { limit: 13 }).events).toEqual(makeEvents(48, 60))
    expect(readdirSync(site.stateDir).sort()).toEqual(['history.1.jsonl', 'history.jsonl', 'state.json.lock'])
    for (const name of ['history.1.jsonl', 'history.jsonl']) {
      expect(readFileSync(join(site.stateDir, name), 'utf8').split('\n').length - 1).toBeLessThanOrEqual(10)
    }
  })

  it('reads its end alone from a long file', async () => {
    const site = makeSite()
    await appendHistory(site, config, makeEvents(1, 2000))
    expect(statSync(fileOf(site)).size).toBeGreaterThan(5 * 64 * 1024)
    expect(readHistory(site, { limit: 700 }).events).toEqual(makeEvents(1301, 2000))
    expect(readHistory(site, { limit: 2000 }).events).toEqual(makeEvents(1, 2000))
  })

  it('writes nothing when it is off', async () => {
    const site = makeSite()
    await appendHistory(site, { ...config, enabled: false }, makeEvents(1, 3))
    expect(() => statSync(site.stateDir)).toThrow('ENOENT')
  })

  it('keeps disposables off the disk when told so', async () => {
    const site = makeSite()
    const quiet = { ...config, disposables: false }
    const events = [
      makeEvent(1, { frontend: 'disp1234' }),
      makeEvent(2, { backend: 'disp7' }),
      makeEvent(3, { frontend: 'disposable' }),
    ]
    await appendHistory(site, quiet, events.slice(0, 2))
    expect(() => statSync(site.stateDir)).toThrow('ENOENT')
    await appendHistory(site, quiet, events)
    expect(readFileSync(fileOf(site), 'utf8')).not.toMatch(/disp[0-9]/)
    expect(readHistory(site, { limit: 10 }).events).toEqual(events.slice(2))
    await appendHistory(site, config, events.slice(0, 1))
    expect(readHistory(site, { limit: 10 }).events).toEqual([events[2], events[0]])
  })

  it('loses one event to a torn line, and no other', async () => {
    const site = makeSite()
    await appendHistory(site, config, makeEvents(1, 3))
    truncateSync(fileOf(site), statSync(fileOf(site)).size - 40)
    expect(readHistory(site, { limit: 10 })).toEqual({ events: makeEvents(1, 2), skipped: 1 })
    await appendHistory(site, config, makeEvents(4, 5))
    expect(readHistory(site, { limit: 10 })).toEqual({
      events: [...makeEvents(1, 2), ...makeEvents(4, 5)],
      skipped: 1,
    })
  })

  it('skips and counts lines that are no event', async () => {
    const site = makeSite()
    await appendHistory(site, config, makeEvents(1, 1))
    appendFileSync(fileOf(site), 'nonsense\n{"what":"attached"}\n\0\0\0\0\n')
    await appendHistory(site, config, makeEvents(2, 2))
    expect(readHistory(site, { limit: 10 })).toEqual({ events: makeEvents(1, 2), skipped: 3 })
  })

  it('holds no character that a terminal could act on', async () => {
    const site = makeSite()
    const event = makeEvent(1, { description: 'a\u202eb\u009b31m\u2028c\u{e0041}é' })
    await appendHistory(site, config, [event])
    expect(readFileSync(fileOf(site), 'utf8')).not.toMatch(/[^\n\P{C}]|[\u2028\u2029]/u)
    expect(readHistory(site, { limit: 1 }).events).toEqual([event])
  })

  it('refuses an event that could not be read again', async () => {
    const site = makeSite()
    const event = { ...makeEvent(1), description: 'x'.repeat(401) }
    await expect(appendHistory(site, config, [event])).rejects.toThrow()
    expect(readHistory(site, { limit: 1 }).events).toEqual([])
  })

  it('follows no symbolic link', async () => {
    const site = makeSite()
    await appendHistory(site, config, makeEvents(1, 1))
    const target = join(site.stateDir, '..', 'target')
    for (const name of ['history.1.jsonl', 'history.jsonl']) {
      rmSync(join(site.stateDir, name), { force: true })
      symlinkSync(target, join(site.stateDir, name))
      expect(() => readHistory(site, { limit: 10 })).toThrow('symbolic link')
    }
    await expect(appendHistory(site, config, makeEvents(2, 2))).rejects.toMatchObject({ code: 'STORE' })
    expect(() => statSync(target)).toThrow('ENOENT')
  })

  it('loses nothing when 20 processes write at once and it is rotated meanwhile', async () => {
    const site = makeSite()
    const workers = Array.from({ length: 20 }, (_, number) => {
      const events = makeEvents(number * 5, number * 5 + 4).map((event) => JSON.stringify(event))
      return startWorker(program, [site.siteFile, 'history', '60', ...events])
    })
    for (const worker of workers) expect(await worker.ended).toEqual({ code: 0, signal: null })
    const { events, skipped } = readHistory(site, { limit: 1000 })
    expect(skipped).toBe(0)
    expect(events.map((event) => event.description).sort()).toEqual(
      makeEvents(0, 99)
        .map((event) => event.description)
        .sort(),
    )
    expect(readdirSync(site.stateDir)).toContain('history.1.jsonl')
  }, 60_000)
})
