import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { defaultCache, getParts } from '../../../src/lab/kernel/parts.ts'
import { PartsMissing } from '../../../src/lab/kernel/parts-missing.ts'

describe('the parts of the kernel engine', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'qusb-parts-'))
  })
  afterEach(async () => await rm(folder, { recursive: true, force: true }))

  it('lie in the cache of the user', () => {
    expect(defaultCache({ XDG_CACHE_HOME: '/somewhere' })).toBe('/somewhere/qusb-lab')
    expect(defaultCache({})).toMatch(/\/\.cache\/qusb-lab$/)
  })

  it('are named when a machine has no way to get them, with a way out', async () => {
    const error = await getParts({ cache: folder, path: '' }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(PartsMissing)
    expect((error as PartsMissing).message).toContain('apt-get')
    expect((error as PartsMissing).hint).toContain('--engine process')
    expect(await readdir(folder)).toEqual([])
  })

  it('say what the package archive said when it does not answer, and leave nothing half done', async () => {
    const bin = join(folder, 'bin')
    await mkdir(bin)
    for (const name of ['apt-get', 'apt-cache', 'dpkg-deb', 'tar'])
      await writeFile(join(bin, name), '#!/bin/sh\necho "E: no archive today" >&2\nexit 100\n', {
        mode: 0o755,
      })
    const before = process.env.PATH
    process.env.PATH = `${bin}:${before}`
    try {
      const error = await getParts({ cache: join(folder, 'cache'), path: bin }).catch(
        (reason: unknown) => reason,
      )
      expect((error as PartsMissing).message).toContain('E: no archive today')
      expect(await readdir(join(folder, 'cache'))).toEqual([])
    } finally {
      process.env.PATH = before
    }
  })
})
