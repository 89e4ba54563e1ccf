import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { build } from 'esbuild'
import { type AttachmentRecord, attachmentRecordSchema } from '../src/lib/model/attachment.ts'
import { type Site, siteFrom } from '../src/lib/site/site.ts'
import { acquireLock } from '../src/lib/store/lock.ts'
import { readState, stateFileOf, updateState } from '../src/lib/store/store.ts'

const SIZES = [10, 1000, 10_000]
const CROWD = 200

interface Place {
  site: Site
  siteFile: string
  /** The bundled store-process. */
  program: string
}

/**
 * Measures the store and prints tables: list (read) and update at several sizes, beside what bare JSON and files
 * cost; and how fast a crowd hands the lock on. Times are medians in ms.
 */
export async function benchStore(): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'qusb-bench-'))
  try {
    const program = join(root, 'store-process.cjs')
    await build({
      entryPoints: [join(import.meta.dirname, '..', 'bench', 'store-process.ts')],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node20',
      define: { __FAULT_POINTS__: 'false' },
      logLevel: 'warning',
    })
    const rows = []
    for (const size of SIZES) rows.push(await measureSize(makePlace(root, program, `size-${size}`), size))
    printTable('Store: medians in ms', rows)
    printTable(`Store: ${CROWD} processes update one store of ${CROWD} records at once`, [
      await measureCrowd(makePlace(root, program, 'crowd')),
    ])
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

function makePlace(root: string, program: string, name: string): Place {
  const paths = { stateDir: join(root, name), runDir: join(root, `${name}-run`) }
  const siteFile = join(root, `${name}.json`)
  writeFileSync(siteFile, JSON.stringify(paths))
  return { site: siteFrom(paths), siteFile, program }
}

async function measureSize(place: Place, size: number): Promise<Record<string, number>> {
  const { site } = place
  const file = stateFileOf(site)
  await updateState(site, () => Array.from({ length: size }, (_, number) => makeRecord(number)))
  const rounds = size > 1000 ? 5 : 15
  const list = await time(rounds, () => readState(site))
  const listFloor = await time(rounds, () => JSON.parse(readFileSync(file, 'utf8')))
  const change = (records: readonly AttachmentRecord[]): AttachmentRecord[] => [
    ...records.slice(1),
    makeRecord(Number.parseInt(records.at(-1)?.id ?? '0', 16) + 1),
  ]
  const update = await time(rounds, () => updateState(site, change))
  const lock = await time(rounds, () => takeLock(site))
  const floor = await time(rounds, () => replaceBarely(file))
  return {
    records: size,
    'list, first in a process': median(Array.from({ length: 5 }, () => readInProcess(place))),
    'list, again': list,
    'bare read and JSON.parse': listFloor,
    'update, durable': update,
    'of that the lock': lock,
    'bare parse, stringify, write, fsync, rename': floor,
  }
}

async function takeLock(site: Site): Promise<void> {
  const lock = await acquireLock(site, join(site.stateDir, 'state.json.lock'), { waitMs: 1000 })
  if ('holder' in lock) throw new Error(`held by ${lock.holder}`)
  lock.release()
}

/** The least that replacing the file durably can cost. */
function replaceBarely(file: string): void {
  const value: unknown = JSON.parse(readFileSync(file, 'utf8'))
  const fd = openSync(`${file}.bare`, 'w')
  writeFileSync(fd, JSON.stringify(value))
  fsyncSync(fd)
  closeSync(fd)
  renameSync(`${file}.bare`, file)
}

function readInProcess({ program, siteFile }: Place): number {
  const { stdout } = spawnSync(process.execPath, [program, siteFile, 'read'], { encoding: 'utf8' })
  return JSON.parse(stdout).took
}

interface Stay {
  asked: number
  inside: number
  done: number
}

async function measureCrowd(place: Place): Promise<Record<string, number>> {
  const records = Array.from({ length: CROWD }, (_, number) => makeRecord(number))
  await updateState(place.site, () => records)
  const children: ChildProcess[] = []
  try {
    const stays: Promise<Stay>[] = []
    const ready: Promise<void>[] = []
    for (const { id } of records) {
      const child = spawn(process.execPath, [place.program, place.siteFile, 'update', id], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      children.push(child)
      ready.push(new Promise((resolve) => child.stdout.once('data', () => resolve())))
      stays.push(text(child.stdout).then((said) => JSON.parse(said.split('\n').at(-2) ?? '')))
    }
    await Promise.all(ready)
    for (const child of children) child.stdin?.end()
    const order = (await Promise.all(stays)).sort((a, b) => a.inside - b.inside)
    const first = Math.min(...order.map((stay) => stay.asked))
    const last = Math.max(...order.map((stay) => stay.done))
    const changed = readState(place.site).state.attachments.filter(({ phase }) => phase === 'detaching')
    // From one process's reading of the store to the next one's: its change, its release, and the other's wake-up.
    const steps = order.slice(1).map((stay, at) => stay.inside - (order[at]?.inside ?? stay.inside))
    return {
      processes: CROWD,
      'updates lost': CROWD - changed.length,
      'all done': last - first,
      'per update': (last - first) / CROWD,
      'from one to the next, median': median(steps),
      '95 %': quantile(steps, 0.95),
    }
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
}

function makeRecord(number: number): AttachmentRecord {
  return attachmentRecordSchema.parse({
    id: number.toString(16).padStart(16, '0'),
    backend: 'sys-usb',
    port: `${1 + (number % 9)}-${1 + (number % 900)}`,
    frontend: 'work',
    stubdom: false,
    device: {
      vendorId: '1050',
      productId: '0407',
      serial: `SN${number}`,
      interfaces: ['030101', '0b0000'],
      busnum: 2,
      devnum: 3,
      description: 'Yubico YubiKey OTP+FIDO+CCID',
    },
    phase: 'attached',
    goal: 'attached',
    since: '2026-01-02T03:04:05.678Z',
    by: { user: 'user', pid: 77, rule: null },
    grant: null,
    bootId: '11111111-2222-3333-4444-555555555555',
    slept: 0,
    backendDomain: 4,
    frontendDomain: 9,
  })
}

async function time(rounds: number, action: () => unknown): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const began = performance.now()
    await action()
    times.push(performance.now() - began)
  }
  return median(times)
}

function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5)
}

function quantile(numbers: readonly number[], part: number): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN
}

/** A table on its side: what was measured goes down, so that long names fit a terminal. */
function printTable(title: string, rows: readonly Record<string, number>[]): void {
  const names = Object.keys(rows[0] ?? {})
  const width = Math.max(...names.map((name) => name.length))
  const format = (value: number) =>
    Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 2 : 1)
  console.log(`\n${title}`)
  for (const name of names) {
    const cells = rows.map((row) => format(row[name] ?? Number.NaN).padStart(10))
    console.log(`  ${name.padEnd(width)}${cells.join('')}`)
  }
}
