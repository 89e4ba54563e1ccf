import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { formatState } from '../../../src/lib/store/state.ts'
import { stateFileOf } from '../../../src/lib/store/store.ts'
import { buildWorker, startWorker, type WorkerProgram } from './run-worker.ts'
import { makeRecord, makeSite, type TemporarySite } from './temporary-site.ts'

// Every start of a process waits for the crowd that another test file may have started.
vi.setConfig({ testTimeout: 180_000 })

let program: WorkerProgram
beforeAll(async () => {
  program = await buildWorker()
})
afterAll(() => program.remove())

const isRoot = process.getuid?.() === 0
const NOBODY = 65534

/** A mount namespace of one's own: what is mounted there goes with the process. */
const namespace = ['unshare', ...(isRoot ? [] : ['--map-root-user']), '--mount', '--']
const canMount =
  spawnSync(namespace[0] ?? '', [...namespace.slice(1), 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0

/** The state of 100 records, about 45 KB, so that no small rest of a disk holds a second one. */
const content = formatState({
  schema: 1,
  bootId: 'b',
  attachments: Array.from({ length: 100 }, (_, number) => makeRecord(number)),
})

function makeFull(): TemporarySite {
  const site = makeSite()
  mkdirSync(site.stateDir)
  chmodSync(site.stateDir, 0o2770)
  writeFileSync(stateFileOf(site), content, { mode: 0o660 })
  return site
}

interface Attempt {
  what?: string
  through?: readonly string[]
  uid?: number
}

/** Runs the worker, which must fail with STORE. */
async function fail(
  site: TemporarySite,
  { what = 'add', ...how }: Attempt,
): Promise<{ message: string; hint: string }> {
  const worker = startWorker(program, [site.siteFile, what, JSON.stringify(makeRecord(1000))], how)
  expect(await worker.ended).toEqual({ code: 1, signal: null })
  const error = JSON.parse(worker.lines.at(-1) ?? '{}')
  expect(error).toMatchObject({ code: 'STORE', message: expect.any(String), hint: expect.any(String) })
  return error
}

function expectUnharmed(site: TemporarySite, names = ['state.json', 'state.json.lock']): void {
  expect(readFileSync(stateFileOf(site), 'utf8')).toBe(content)
  expect(readdirSync(site.stateDir).sort()).toEqual(names)
}

describe('a change that cannot be written', () => {
  it('for a limit on file sizes: STORE, the old file whole, nothing left over', async () => {
    const site = makeFull()
    const error = await fail(site, { through: ['prlimit', '--fsize=8192'] })
    expect(error.message).toContain('EFBIG')
    expectUnharmed(site)
  })

  it('to the history: STORE, and no half of it is there', async () => {
    const site = makeFull()
    const event = {
      at: '2026-01-02T03:04:05.678Z',
      what: 'ended',
      backend: 'sys-usb',
      port: '2-1',
      frontend: 'work',
    }
    const device = { vendorId: '1050', productId: '0407', serial: null, description: 'd'.repeat(300) }
    const text = JSON.stringify({ ...event, ...device, user: null, rule: null, how: 'unplugged' })
    const first = startWorker(program, [site.siteFile, 'history', '100', text])
    expect(await first.ended).toEqual({ code: 0, signal: null })
    const before = readFileSync(join(site.stateDir, 'history.jsonl'), 'utf8')
    const limit = ['prlimit', `--fsize=${Math.floor(before.length * 1.5)}`]
    const second = startWorker(program, [site.siteFile, 'history', '100', text], { through: limit })
    expect(await second.ended).toEqual({ code: 1, signal: null })
    expect(JSON.parse(second.lines[0] ?? '{}')).toMatchObject({ code: 'STORE' })
    expect(readFileSync(join(site.stateDir, 'history.jsonl'), 'utf8')).toBe(before)
  })

  it.runIf(canMount)('for a full disk: STORE, the old file whole, nothing left over', async () => {
    const site = makeFull()
    const kept = join(site.stateDir, '..', 'kept')
    mkdirSync(kept)
    // What the disk held when the worker had ended is looked at from here, after its namespace is gone.
    const script = `
      cp "$1/state.json" "$2/first" && mount -t tmpfs -o size=80k,mode=2770 tmpfs "$1" &&
      cp "$2/first" "$1/state.json" && rm "$2/first" || exit 99
      shift 2; dir=$1; kept=$2; shift 2
      "$@"; code=$?
      cp "$dir"/* "$kept/"; ls -A "$dir" >"$kept/names"; exit $code`
    const dirs = [site.stateDir, kept]
    const error = await fail(site, { through: [...namespace, 'sh', '-c', script, 'sh', ...dirs, ...dirs] })
    expect(error.message).toContain('ENOSPC')
    expect(error.hint).toContain('Make room')
    expect(readFileSync(join(kept, 'state.json'), 'utf8')).toBe(content)
    expect(readFileSync(join(kept, 'names'), 'utf8')).toBe('state.json\nstate.json.lock\n')
  })

  it.runIf(canMount)('for a file system mounted read-only: STORE, untouched', async () => {
    const site = makeFull()
    const script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 99; shift; exec "$@"'
    const error = await fail(site, { through: [...namespace, 'sh', '-c', script, 'sh', site.stateDir] })
    expect(error.message).toContain('EROFS')
    expectUnharmed(site, ['state.json'])
  })

  it('for a directory that this user may not write: STORE, with the command that mends it', async () => {
    const site = makeFull()
    // The lock can be had, so that it is the writing that fails.
    const lock = join(site.stateDir, 'state.json.lock')
    writeFileSync(lock, '')
    chmodSync(lock, 0o660)
    if (isRoot) chownSync(lock, 0, NOBODY)
    chmodSync(site.stateDir, 0o555)
    chmodSync(stateFileOf(site), 0o664)
    try {
      const error = await fail(site, isRoot ? { uid: NOBODY } : {})
      expect(error.message).toContain(`write ${stateFileOf(site)}: EACCES`)
      expect(error.hint).toContain('qusb setup dom0')
      expectUnharmed(site)
    } finally {
      chmodSync(site.stateDir, 0o770)
    }
  })
})

describe('a state file that this user may not read', () => {
  it('is a STORE error that names it and the command that mends it', async () => {
    const site = makeFull()
    chmodSync(site.stateDir, 0o755)
    chmodSync(stateFileOf(site), isRoot ? 0o600 : 0o000)
    const error = await fail(site, { what: 'read', ...(isRoot ? { uid: NOBODY } : {}) })
    expect(error.message).toContain(stateFileOf(site))
    expect(error.message).toContain('EACCES')
    expect(error.hint).toContain('qusb setup dom0')
    chmodSync(stateFileOf(site), 0o660)
    expectUnharmed(site, ['state.json'])
  })
})
