import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { readState, updateState } from '../../../src/lib/store/store.ts'
import { buildWorker, startWorker, type Worker, type WorkerProgram } from './run-worker.ts'
import { makeRecord, makeSite, type TemporarySite } from './temporary-site.ts'

// Every start of a process waits for the crowd that another test file may have started.
vi.setConfig({ testTimeout: 180_000 })

let program: WorkerProgram
beforeAll(async () => {
  program = await buildWorker()
})
afterAll(() => program.remove())

/** The same numbers for the same seed (mulberry32). */
function makeRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function storedIds(site: TemporarySite): Set<string> {
  const { state, warnings } = readState(site)
  expect(warnings).toEqual([])
  return new Set(state.attachments.map((record) => record.id))
}

describe('a crowd at the store', () => {
  it('loses no update of 60 processes, and who reads meanwhile sees whole states that only grow', async () => {
    const site = makeSite()
    const each = 2
    const workers = Array.from({ length: 60 }, (_, number) => {
      const records = Array.from({ length: each }, (_, at) => JSON.stringify(makeRecord(number * each + at)))
      return startWorker(program, [site.siteFile, 'add', ...records])
    })
    let running = true
    const all = Promise.all(workers.map((worker) => worker.ended)).finally(() => {
      running = false
    })
    let seen = 0
    while (running) {
      const now = storedIds(site).size
      expect(now).toBeGreaterThanOrEqual(seen)
      seen = now
      // A reader now and then: one without a pause would take a core from the crowd.
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    for (const end of await all) expect(end).toEqual({ code: 0, signal: null })
    expect(storedIds(site).size).toBe(60 * each)
  }, 180_000)

  it('loses no update that was confirmed, and stands for nobody in the way, when processes are killed', async () => {
    const seed = Number(process.env.QUSB_SEED ?? Date.now() % 2 ** 31)
    const random = makeRandom(seed)
    const site = makeSite()
    const crowd = 8
    const kills = 32
    let started = 0
    const workers: Worker[] = []
    const start = (): Worker => {
      // Far enough apart that no two workers make the same id.
      const first = makeRecord(started++ * 100_000)
      const worker = startWorker(program, [site.siteFile, 'addForever', JSON.stringify(first)])
      workers.push(worker)
      return worker
    }
    const lives = Array.from({ length: crowd }, async (_, place) => {
      for (let life = place; life < kills; life += crowd) {
        const worker = start()
        await worker.nextLine()
        // Any moment of the next updates will do: killing there is what is tried.
        await new Promise((resolve) => setTimeout(resolve, random() * 60))
        worker.child.kill('SIGKILL')
        expect(await worker.ended).toEqual({ code: null, signal: 'SIGKILL' })
      }
    })
    await Promise.all(lives)
    const confirmed = workers.flatMap((worker) => worker.lines)
    expect(confirmed.filter((line) => !/^[0-9a-f]{16}$/.test(line))).toEqual([])
    expect(confirmed.length).toBeGreaterThanOrEqual(kills)
    const { state, warnings } = await updateState(site, (records) => [...records, makeRecord(2 ** 40)], {
      waitMs: 0,
    })
    expect(warnings, `seed ${seed}`).toEqual([])
    const stored = new Set(state.attachments.map((record) => record.id))
    expect(
      confirmed.filter((id) => !stored.has(id)),
      `seed ${seed}`,
    ).toEqual([])
    // Each killed process may have stored one more than it could tell.
    expect(stored.size - 1 - confirmed.length, `seed ${seed}`).toBeLessThanOrEqual(kills)
    expect(readdirSync(site.stateDir).sort(), `seed ${seed}`).toEqual(['state.json', 'state.json.lock'])
  }, 180_000)
})
