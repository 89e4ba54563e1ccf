// A program that uses the store, for tests that need real processes: `worker.cjs SITE_FILE WHAT [ARG…]`.
import { closeSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs'
import { errorToJson } from '../../../src/lib/errors.ts'
import type { AttachmentRecord } from '../../../src/lib/model/attachment.ts'
import type { HistoryEvent } from '../../../src/lib/model/event.ts'
import type { QubeName } from '../../../src/lib/model/names.ts'
import type { Port } from '../../../src/lib/model/port.ts'
import { siteFrom } from '../../../src/lib/site/site.ts'
import { appendHistory } from '../../../src/lib/store/history.ts'
import { acquireLock } from '../../../src/lib/store/lock.ts'
import { lockDevice } from '../../../src/lib/store/place-lock.ts'
import { readState, updateState } from '../../../src/lib/store/store.ts'

const [siteFile = '', what = '', ...args] = process.argv.slice(2)
const site = siteFrom(JSON.parse(readFileSync(siteFile, 'utf8')))

function say(line: string): void {
  writeSync(1, `${line}\n`)
}

/** Waits until the test closes our stdin. */
async function waitForStdin(): Promise<void> {
  process.stdin.resume()
  await new Promise((resolve) => process.stdin.once('end', resolve))
}

const work: Record<string, () => Promise<void>> = {
  /** Adds the records given as JSON, one update each, and says each id once it is stored. */
  add: async () => {
    for (const text of args) {
      const record = JSON.parse(text) as AttachmentRecord
      await updateState(site, (records) => [...records, record])
      say(record.id)
    }
  },
  /** Adds records made after the one given, with ids that count up from its own, until it is killed. */
  addForever: async () => {
    const record = JSON.parse(args[0] ?? '') as AttachmentRecord
    for (let number = Number.parseInt(record.id, 16); ; number++) {
      const id = number.toString(16).padStart(16, '0')
      await updateState(site, (records) => [...records, { ...record, id }])
      say(id)
    }
  },
  read: async () => say(JSON.stringify(readState(site))),
  /** Takes one lock and holds it until stdin ends. */
  lock: async () => {
    const lock = await acquireLock(site, args[0] ?? '', { waitMs: Number(args[1]) })
    if ('holder' in lock) return say(`held by ${lock.holder}`)
    say('locked')
    await waitForStdin()
    lock.release()
    say('released')
  },
  /** Goes through a place's lock again and again; says `both` should two ever be inside. */
  pass: async () => {
    const [inside = '', rounds = ''] = args
    const at = { backend: 'sys-usb' as QubeName, port: '2-1' as Port }
    for (let round = 0; round < Number(rounds); round++) {
      const lock = await lockDevice(site, at, { waitMs: 60_000 })
      if ('holder' in lock) return say('not locked')
      try {
        closeSync(openSync(inside, 'wx'))
      } catch {
        say('both')
      }
      await new Promise((resolve) => setImmediate(resolve))
      unlinkSync(inside)
      lock.release()
    }
    say('passed')
  },
  history: async () => {
    const [events = '', ...texts] = args
    const config = { enabled: true, events: Number(events), disposables: true }
    for (const text of texts) await appendHistory(site, config, [JSON.parse(text) as HistoryEvent])
  },
}

async function run(): Promise<void> {
  const chosen = work[what]
  if (chosen === undefined) throw new Error(`no such work: ${what}`)
  await chosen()
}

run().catch((error: unknown) => {
  say(JSON.stringify(errorToJson(error)))
  process.exitCode = 1
})
