import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { QubeName } from '../../../src/lib/model/names.ts'
import type { Port } from '../../../src/lib/model/port.ts'
import type { Site } from '../../../src/lib/site/site.ts'
import { acquireLock, type Lock, type LockHeld } from '../../../src/lib/store/lock.ts'
import { lockDevice, lockFrontend } from '../../../src/lib/store/place-lock.ts'
import { buildWorker, startWorker, type WorkerProgram } from './run-worker.ts'
import { makeSite, type TemporarySite } from './temporary-site.ts'

// Every start of a process waits for the crowd that another test file may have started.
vi.setConfig({ testTimeout: 180_000 })

let program: WorkerProgram
beforeAll(async () => {
  program = await buildWorker()
})
afterAll(() => program.remove())

const at = { backend: 'sys-usb' as QubeName, port: '2-1.4' as Port }

function got(lock: Lock | LockHeld): Lock {
  if ('holder' in lock) throw new Error(`held by ${lock.holder}`)
  onTestFinished(() => lock.release())
  return lock
}

function prepare(): { site: TemporarySite; file: string } {
  const site = makeSite()
  mkdirSync(site.runDir, { mode: 0o770 })
  return { site, file: join(site.runDir, 'a.lock') }
}

async function holdElsewhere(site: TemporarySite, file: string) {
  const worker = startWorker(program, [site.siteFile, 'lock', file, '0'])
  expect(await worker.nextLine()).toBe('locked')
  return worker
}

describe('a lock', () => {
  it('is refused to another process and to another part of this one, and says who has it', async () => {
    const { site, file } = prepare()
    const worker = await holdElsewhere(site, file)
    expect(await acquireLock(site, file, { waitMs: 0 })).toEqual({ holder: worker.child.pid })
    expect(await acquireLock(site, file, { waitMs: 30 })).toEqual({ holder: worker.child.pid })
    worker.child.stdin.end()
    await worker.ended
    const lock = got(await acquireLock(site, file, { waitMs: 0 }))
    expect(await acquireLock(site, file, { waitMs: 0 })).toEqual({ holder: process.pid })
    lock.release()
    lock.release()
    got(await acquireLock(site, file, { waitMs: 0 })).release()
  })

  it('goes with a process that is killed', async () => {
    const { site, file } = prepare()
    const worker = await holdElsewhere(site, file)
    worker.child.kill('SIGKILL')
    await worker.ended
    got(await acquireLock(site, file, { waitMs: 0 }))
  })

  it('is handed on to one who waits', async () => {
    const { site, file } = prepare()
    const worker = await holdElsewhere(site, file)
    const waiting = acquireLock(site, file, { waitMs: 20_000 })
    worker.child.stdin.end()
    got(await waiting)
  })

  it('is not inherited by programs that are started while it is held', async () => {
    const { site, file } = prepare()
    const lock = got(await acquireLock(site, file, { waitMs: 0 }))
    const child = startWorker(program, [site.siteFile, 'lock', join(site.runDir, 'other.lock'), '0'])
    expect(await child.nextLine()).toBe('locked')
    lock.release()
    got(await acquireLock(site, file, { waitMs: 0 }))
  })

  it('ends its waiting at once when the signal says so', async () => {
    const { site, file } = prepare()
    await holdElsewhere(site, file)
    const abort = new AbortController()
    const waiting = acquireLock(site, file, { waitMs: 20_000, signal: abort.signal })
    const began = performance.now()
    abort.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    expect(performance.now() - began).toBeLessThan(5000)
    await expect(acquireLock(site, file, { waitMs: 0, signal: abort.signal })).rejects.toThrow('enough')
  })

  it('is on the file that the path names, even if the file was replaced while waiting', async () => {
    const { site, file } = prepare()
    const first = got(await acquireLock(site, file, { waitMs: 0, removeOnRelease: true }))
    const waiting = acquireLock(site, file, { waitMs: 20_000 })
    first.release()
    got(await waiting)
    expect(existsSync(file)).toBe(true)
    expect(await acquireLock(site, file, { waitMs: 0 })).toEqual({ holder: process.pid })
  })

  it('does not remove a file that is another holder’s', async () => {
    const { site, file } = prepare()
    const lock = got(await acquireLock(site, file, { waitMs: 0, removeOnRelease: true }))
    renameSync(file, `${file}.moved`)
    lock.release()
    expect(existsSync(`${file}.moved`)).toBe(true)
  })

  it('has a file that the group can lock too, whatever the umask', async () => {
    const { site, file } = prepare()
    const before = process.umask(0o077)
    try {
      got(await acquireLock(site, file, { waitMs: 0 }))
    } finally {
      process.umask(before)
    }
    expect(statSync(file).mode & 0o777).toBe(0o660)
  })

  it('follows no link, symbolic or hard, and takes no directory', async () => {
    const { site, file } = prepare()
    const precious = join(site.runDir, 'precious')
    writeFileSync(precious, 'content', { mode: 0o600 })
    symlinkSync(precious, file)
    await expect(acquireLock(site, file, { waitMs: 0 })).rejects.toMatchObject({
      code: 'STORE',
      message: expect.stringContaining('symbolic link'),
    })
    rmSync(file)
    linkSync(precious, file)
    await expect(acquireLock(site, file, { waitMs: 0 })).rejects.toMatchObject({ code: 'STORE' })
    rmSync(file)
    mkdirSync(file)
    await expect(acquireLock(site, file, { waitMs: 0 })).rejects.toMatchObject({ code: 'STORE' })
    expect(readFileSync(precious, 'utf8')).toBe('content')
  })

  it('is a clear error without flock', async () => {
    const { site, file } = prepare()
    const without: Site = { ...site, flock: '/nonexistent/flock' }
    await expect(acquireLock(without, file, { waitMs: 0 })).rejects.toMatchObject({
      code: 'STORE',
      hint: expect.stringContaining('util-linux'),
    })
  })
})

describe('the locks of places', () => {
  it('are one for a device and one for a frontend, and leave no file', async () => {
    const site = makeSite()
    const device = got(await lockDevice(site, at, { waitMs: 0 }))
    const frontend = got(await lockFrontend(site, 'sys-usb' as QubeName, { waitMs: 0 }))
    expect(device.file).toBe(join(site.runDir, 'locks', 'device-sys-usb_2-1.4.lock'))
    expect(frontend.file).toBe(join(site.runDir, 'locks', 'frontend-sys-usb.lock'))
    expect(await lockDevice(site, at, { waitMs: 0 })).toEqual({ holder: process.pid })
    expect('holder' in (await lockFrontend(site, 'work' as QubeName, { waitMs: 0 }))).toBe(false)
    device.release()
    frontend.release()
    expect(existsSync(device.file) || existsSync(frontend.file)).toBe(false)
  })

  it('are swept when killed processes left many, and one that is held stays held', async () => {
    const site = makeSite()
    const held = got(await lockDevice(site, at, { waitMs: 0 }))
    const directory = join(site.runDir, 'locks')
    for (let number = 0; number < 262; number++)
      writeFileSync(join(directory, `frontend-disp${number}.lock`), '')
    const count = () =>
      Array.from({ length: 262 }, (_, number) => number).filter((number) => {
        return existsSync(join(directory, `frontend-disp${number}.lock`))
      }).length
    for (let rounds = 0; count() > 255 && rounds < 20; rounds++) {
      got(await lockFrontend(site, 'work' as QubeName, { waitMs: 0 })).release()
    }
    expect(count()).toBeLessThanOrEqual(256)
    expect(existsSync(held.file)).toBe(true)
    expect(await lockDevice(site, at, { waitMs: 0 })).toEqual({ holder: process.pid })
  })

  it('let one process in at a time, though each removes the file when it leaves', async () => {
    const site = makeSite()
    const inside = join(site.runDir, '..', 'inside')
    const workers = Array.from({ length: 12 }, () =>
      startWorker(program, [site.siteFile, 'pass', inside, '10']),
    )
    for (const worker of workers) {
      expect(await worker.ended).toEqual({ code: 0, signal: null })
      expect(worker.lines).toEqual(['passed'])
    }
  }, 120_000)
})
