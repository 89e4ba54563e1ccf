import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { acquireLock } from '../../../src/lib/store/lock.ts'
import { readState, stateFileOf, updateState } from '../../../src/lib/store/store.ts'
import { makeRecord, makeSite } from './temporary-site.ts'

describe('the store', () => {
  it('is empty before anything was written, and reading makes nothing', () => {
    const site = makeSite()
    const empty = { schema: 1, bootId: '11111111-2222-3333-4444-555555555555', attachments: [] }
    expect(readState(site)).toEqual({ state: empty, warnings: [], incomplete: false })
    expect(() => statSync(site.stateDir)).toThrow('ENOENT')
  })

  it('keeps what changes leave, one after the other', async () => {
    const site = makeSite()
    await updateState(site, (records) => [...records, makeRecord(1)])
    await updateState(site, (records) => [...records, makeRecord(2)])
    const { state } = await updateState(site, (records) =>
      records.filter(({ id }) => id !== makeRecord(1).id),
    )
    expect(state.attachments).toEqual([makeRecord(2)])
    expect(readState(site)).toEqual({ state, warnings: [], incomplete: false })
  })

  it('lets one process’s own changes follow each other too', async () => {
    const site = makeSite()
    await Promise.all(
      Array.from({ length: 10 }, (_, number) =>
        updateState(site, (records) => [...records, makeRecord(number)]),
      ),
    )
    expect(readState(site).state.attachments).toHaveLength(10)
  })

  it('belongs to the directory’s group and to nobody else, whatever the umask', async () => {
    const site = makeSite()
    const before = process.umask(0o077)
    try {
      await updateState(site, (records) => [...records, makeRecord(1)])
    } finally {
      process.umask(before)
    }
    expect(statSync(site.stateDir).mode & 0o7777).toBe(0o2770)
    for (const name of readdirSync(site.stateDir)) {
      const stat = statSync(join(site.stateDir, name))
      expect([name, (stat.mode & 0o7777).toString(8)]).toEqual([name, '660'])
      expect(stat.gid).toBe(statSync(site.stateDir).gid)
    }
  })

  it('writes nothing for a change that changes nothing', async () => {
    const site = makeSite()
    await updateState(site, () => [makeRecord(1)])
    const before = statSync(stateFileOf(site)).ino
    const { state } = await updateState(site, (records) => records)
    expect(state.attachments).toEqual([makeRecord(1)])
    expect(statSync(stateFileOf(site)).ino).toBe(before)
  })

  it('leaves the file as it was when the change fails or makes what cannot be read again', async () => {
    const site = makeSite()
    await updateState(site, () => [makeRecord(1)])
    const before = readFileSync(stateFileOf(site))
    const fail = () => {
      throw new Error('no')
    }
    await expect(updateState(site, fail)).rejects.toThrow('no')
    await expect(updateState(site, () => [makeRecord(1, { id: 'short' })])).rejects.toThrow()
    await expect(updateState(site, () => [makeRecord(1), makeRecord(1)])).rejects.toThrow('same id')
    const many = Array.from({ length: 20_001 }, (_, number) => makeRecord(number))
    await expect(updateState(site, () => many)).rejects.toMatchObject({ code: 'STORE' })
    expect(readFileSync(stateFileOf(site))).toEqual(before)
    expect(readdirSync(site.stateDir).sort()).toEqual(['state.json', 'state.json.lock'])
  })

  it('tells who holds it when the wait is over', async () => {
    const site = makeSite()
    await updateState(site, () => [])
    const lock = await acquireLock(site, join(site.stateDir, 'state.json.lock'), { waitMs: 0 })
    if ('holder' in lock) throw new Error('not ours')
    try {
      await expect(updateState(site, () => [], { waitMs: 50 })).rejects.toMatchObject({
        code: 'STORE',
        message: expect.stringContaining(`process ${process.pid}`),
      })
      const abort = AbortSignal.abort(new Error('enough'))
      await expect(updateState(site, () => [], { signal: abort })).rejects.toThrow('enough')
    } finally {
      lock.release()
    }
  })

  it('waits on while it is somebody else each time', async () => {
    const site = makeSite()
    await updateState(site, () => [])
    const file = join(site.stateDir, 'state.json.lock')
    const lock = await acquireLock(site, file, { waitMs: 0 })
    if ('holder' in lock) throw new Error('not ours')
    // Each look meets another number in the file, as in a long line.
    let holder = 100
    const line = setInterval(() => writeFileSync(file, `${holder++}\n`), 1)
    let waited = false
    try {
      const update = updateState(site, () => [makeRecord(1)], { waitMs: 90 }).finally(() => {
        waited = true
      })
      await expect.poll(() => holder, { timeout: 20_000 }).toBeGreaterThan(500)
      expect(waited).toBe(false)
      lock.release()
      expect((await update).state.attachments).toHaveLength(1)
    } finally {
      clearInterval(line)
      lock.release()
    }
  })

  it('keeps records of another boot, which can be told by their id', async () => {
    const site = makeSite()
    await updateState(site, () => [makeRecord(1)])
    writeFileSync(site.bootIdFile, 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\n')
    const { state } = await updateState(site, (records) => [...records, makeRecord(2, { bootId: 'new' })])
    expect(state.bootId).toBe('aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee')
    expect(state.attachments.map((record) => record.bootId)).toEqual([makeRecord(1).bootId, 'new'])
    writeFileSync(site.bootIdFile, '\n')
    const nameless = await updateState(site, (records) => [...records, makeRecord(3)])
    expect(nameless.state.bootId).toBe('unknown')
  })

  it('brings an older schema to the present one at the next change, even one that changes nothing', async () => {
    const site = makeSite()
    mkdirSync(site.stateDir, { mode: 0o770 })
    writeFileSync(stateFileOf(site), JSON.stringify({ attachments: [makeRecord(1)] }))
    expect(readState(site)).toMatchObject({ state: { attachments: [makeRecord(1)] }, warnings: [] })
    await updateState(site, (records) => records)
    expect(JSON.parse(readFileSync(stateFileOf(site), 'utf8'))).toMatchObject({ schema: 1 })
    expect(readState(site).state.attachments).toEqual([makeRecord(1)])
  })

  it('removes what killed writers left, and nothing else', async () => {
    const site = makeSite()
    await updateState(site, () => [makeRecord(1)])
    const mine = ['.state.json.new-1', `.state.json.new-${process.pid}`]
    const others = ['.state.json.new-x', 'notes.txt', '.state.json.swp']
    for (const name of [...mine, ...others]) writeFileSync(join(site.stateDir, name), 'half')
    await updateState(site, () => [makeRecord(2)])
    expect(readdirSync(site.stateDir).sort()).toEqual([...others, 'state.json', 'state.json.lock'].sort())
  })

  it('says what to run when its directory cannot be made', async () => {
    const site = makeSite()
    rmSync(join(site.stateDir, '..'), { recursive: true })
    await expect(updateState(site, () => [])).rejects.toMatchObject({
      code: 'STORE',
      message: expect.stringContaining(site.stateDir),
      hint: expect.stringContaining('qusb setup dom0'),
    })
  })
})
