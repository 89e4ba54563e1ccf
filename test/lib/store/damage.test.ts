import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { QusbError } from '../../../src/lib/errors.ts'
import { readState, stateFileOf, updateState } from '../../../src/lib/store/store.ts'
import { makeRecord, makeSite, type TemporarySite } from './temporary-site.ts'

const isRoot = process.getuid?.() === 0

afterEach(() => {
  vi.useRealTimers()
})

async function makeWritten(): Promise<TemporarySite> {
  const site = makeSite()
  await updateState(site, () => [makeRecord(1)])
  return site
}

function copiesIn(site: TemporarySite): string[] {
  return readdirSync(site.stateDir).filter((name) => name.startsWith('state.json.damaged-'))
}

/** Both ways to the store must refuse the file, and leave it. */
async function expectRefused(site: TemporarySite): Promise<QusbError> {
  const reading = await new Promise((_, reject) => reject(attempt(() => readState(site)))).catch(
    (error) => error,
  )
  const changing = await updateState(site, () => []).catch((error: unknown) => error)
  for (const error of [reading, changing]) expect(error).toMatchObject({ code: 'STORE', exitCode: 11 })
  expect((changing as QusbError).message).toBe((reading as QusbError).message)
  return reading as QusbError
}

function attempt(action: () => unknown): unknown {
  try {
    return action()
  } catch (error) {
    return error
  }
}

describe('a damaged state file', () => {
  const cases: [name: string, damage: (file: string) => void][] = [
    ['empty', (file) => truncateSync(file, 0)],
    ['cut in the middle', (file) => truncateSync(file, 200)],
    ['zeroes', (file) => writeFileSync(file, Buffer.alloc(4096))],
    ['not JSON', (file) => writeFileSync(file, 'nonsense {{{')],
    ['of no known schema', (file) => writeFileSync(file, '{"schema":"one","attachments":[]}')],
    ['without its list', (file) => writeFileSync(file, '{"schema":1,"bootId":"b"}')],
  ]
  it.each(cases)('%s: told, set aside as it was, and begun again', async (_name, damage) => {
    const site = await makeWritten()
    damage(stateFileOf(site))
    const content = readFileSync(stateFileOf(site))

    const read = readState(site)
    expect(read).toMatchObject({ state: { attachments: [] }, incomplete: true })
    expect(read.warnings).toEqual([expect.stringContaining('is damaged')])
    expect(readFileSync(stateFileOf(site))).toEqual(content)

    const changed = await updateState(site, (records) => [...records, makeRecord(2)])
    expect(changed).toMatchObject({ state: { attachments: [makeRecord(2)] }, incomplete: true })
    const [copy = '', ...rest] = copiesIn(site)
    expect(rest).toEqual([])
    expect(changed.warnings).toEqual([expect.stringContaining(copy)])
    expect(copy).toMatch(/^state\.json\.damaged-\d{8}T\d{6}Z-1$/)
    expect(readFileSync(join(site.stateDir, copy))).toEqual(content)
    expect(readState(site)).toEqual({ state: changed.state, warnings: [], incomplete: false })
  })

  it('is set aside by a change that changes nothing, and its good records stay', async () => {
    const site = await makeWritten()
    const good = JSON.stringify(makeRecord(5))
    writeFileSync(stateFileOf(site), `{"schema":1,"bootId":"b","attachments":[{"id":1},${good}]}`)
    const { state, warnings } = await updateState(site, (records) => records)
    expect(state.attachments).toEqual([makeRecord(5)])
    expect(warnings).toEqual([expect.stringContaining('1 of its records could be read')])
    expect(copiesIn(site)).toHaveLength(1)
  })

  it('stays where it is when the change fails', async () => {
    const site = await makeWritten()
    writeFileSync(stateFileOf(site), 'nonsense')
    const fail = () => {
      throw new Error('no')
    }
    await expect(updateState(site, fail)).rejects.toThrow('no')
    expect(readFileSync(stateFileOf(site), 'utf8')).toBe('nonsense')
    expect(copiesIn(site)).toEqual([])
  })

  it('is kept ten times, the oldest going by name and not by silence, though the clock is set back', async () => {
    const site = await makeWritten()
    for (let number = 1; number <= 12; number++) {
      // Each time it happens a year earlier than before.
      vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2030 - number, 5, 1) })
      writeFileSync(stateFileOf(site), `nonsense ${number}`)
      const { warnings } = await updateState(site, () => [])
      expect(warnings.filter((warning) => /-\d+, the oldest/.test(warning))).toHaveLength(number > 10 ? 1 : 0)
    }
    const contents = copiesIn(site).map((name) => readFileSync(join(site.stateDir, name), 'utf8'))
    const kept = Array.from({ length: 10 }, (_, at) => `nonsense ${at + 3}`)
    expect(contents.sort()).toEqual(kept.sort())
  })

  it('is not mistaken for a fresh start when a crash came between setting aside and writing', async () => {
    const site = await makeWritten()
    renameSync(stateFileOf(site), `${stateFileOf(site)}.damaged-20260101T000000Z-1`)
    expect(readState(site)).toMatchObject({
      incomplete: true,
      warnings: [expect.stringContaining('damaged-20260101T000000Z-1')],
    })
    expect(await updateState(site, (records) => records)).toMatchObject({ incomplete: true })
    expect(readState(site)).toMatchObject({ incomplete: false, warnings: [] })
  })
})

describe('a state file that is not to be touched', () => {
  it('of a later qusb: refused and left', async () => {
    const site = await makeWritten()
    writeFileSync(stateFileOf(site), '{"schema":2,"of":"the future"}')
    const error = await expectRefused(site)
    expect(error.hint).toContain('Update qusb')
    expect(readFileSync(stateFileOf(site), 'utf8')).toBe('{"schema":2,"of":"the future"}')
  })

  it('a symbolic link, wherever it points: refused, its target left', async () => {
    const site = await makeWritten()
    const target = join(site.runDir, '..', 'elsewhere.json')
    renameSync(stateFileOf(site), target)
    const content = readFileSync(target, 'utf8')
    symlinkSync(target, stateFileOf(site))
    expect((await expectRefused(site)).message).toContain('symbolic link')
    expect(readFileSync(target, 'utf8')).toBe(content)
    rmSync(stateFileOf(site))
    symlinkSync('/nonexistent', stateFileOf(site))
    await expectRefused(site)
  })

  it('a hard link to another file: refused', async () => {
    const site = await makeWritten()
    linkSync(stateFileOf(site), join(site.stateDir, '..', 'second'))
    expect((await expectRefused(site)).message).toContain('hard link')
  })

  it('a directory: refused', async () => {
    const site = await makeWritten()
    rmSync(stateFileOf(site))
    mkdirSync(stateFileOf(site))
    expect((await expectRefused(site)).message).toContain('not a regular file')
  })

  it('a FIFO that nobody writes: refused without waiting', async () => {
    const site = await makeWritten()
    rmSync(stateFileOf(site))
    await execa('mkfifo', [stateFileOf(site)])
    expect((await expectRefused(site)).message).toContain('not a regular file')
  })

  it('too large: refused before it is read', async () => {
    const site = await makeWritten()
    truncateSync(stateFileOf(site), 33 * 1024 * 1024)
    expect((await expectRefused(site)).message).toContain('larger than')
  })

  it('one that everybody may write: refused, with the command that mends it', async () => {
    const site = await makeWritten()
    chmodSync(stateFileOf(site), 0o666)
    expect((await expectRefused(site)).hint).toContain('chmod 660')
  })

  it('one in a directory that everybody may write, sticky or not: refused', async () => {
    const site = await makeWritten()
    for (const mode of [0o777, 0o1777]) {
      chmodSync(site.stateDir, mode)
      expect((await expectRefused(site)).message).toContain('everybody')
    }
  })

  it('one where the directory should be is a file: refused', async () => {
    const site = makeSite()
    writeFileSync(site.stateDir, '')
    expect((await expectRefused(site)).message).toContain('not a directory')
  })

  it.runIf(isRoot)('one in a directory of some other user: refused', async () => {
    const site = await makeWritten()
    chownSync(site.stateDir, 12345, 0)
    expect((await expectRefused(site)).message).toContain('belongs to user 12345')
  })

  it.runIf(isRoot)('one of another member of the group: taken, for whoever wrote last owns it', async () => {
    const site = await makeWritten()
    chownSync(stateFileOf(site), 12345, 0)
    expect(readState(site).state.attachments).toEqual([makeRecord(1)])
    await updateState(site, (records) => [...records, makeRecord(2)])
    expect(readState(site).state.attachments).toHaveLength(2)
  })
})
