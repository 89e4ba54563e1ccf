import { describe, expect, it } from 'vitest'
import { characterDevice, file, folder, link, packCpio, program } from '../../../src/lab/kernel/cpio.ts'

/** Reads an archive as the kernel does: header fields of eight hex digits, all padded to four bytes. */
function unpack(archive: Buffer) {
  const entries: { path: string; mode: number; content: Buffer; device: [number, number] }[] = []
  for (let at = 0; at < archive.length; ) {
    expect(archive.toString('latin1', at, at + 6)).toBe('070701')
    const field = (index: number) =>
      Number.parseInt(archive.toString('latin1', at + 6 + 8 * index, at + 14 + 8 * index), 16)
    const nameEnd = at + 110 + field(11)
    const start = nameEnd + ((4 - (nameEnd % 4)) % 4)
    const path = archive.toString('utf8', at + 110, nameEnd - 1)
    entries.push({
      path,
      mode: field(1),
      content: archive.subarray(start, start + field(6)),
      device: [field(9), field(10)],
    })
    at = start + field(6)
    at += (4 - (at % 4)) % 4
  }
  return entries
}

describe('a root file system', () => {
  it('holds folders, files, programs, links and nodes', () => {
    const odd = Buffer.from('three')
    const entries = unpack(
      packCpio([
        folder('bin'),
        file('etc/name', odd),
        program('init', '#!/bin/sh\n'),
        link('bin/sh', 'busybox'),
        characterDevice('dev/console', 5, 1),
      ]),
    )
    expect(entries.map(({ path, mode }) => [path, mode.toString(8)])).toEqual([
      ['bin', '40755'],
      ['etc/name', '100644'],
      ['init', '100755'],
      ['bin/sh', '120777'],
      ['dev/console', '20600'],
      ['TRAILER!!!', '0'],
    ])
    expect(entries[1]?.content.toString()).toBe('three')
    expect(entries[3]?.content.toString()).toBe('busybox')
    expect(entries[4]?.device).toEqual([5, 1])
  })

  it('can follow another one', () => {
    const both = Buffer.concat([packCpio([file('a', '1')]), packCpio([file('a', '22')])])
    expect(unpack(both).map(({ path }) => path)).toEqual(['a', 'TRAILER!!!', 'a', 'TRAILER!!!'])
  })
})
