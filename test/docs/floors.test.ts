import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const SRC = join(import.meta.dirname, '../../src')

/** From the ground up: a room imports from floors below its own, and from itself. */
const FLOORS = [
  ['lib/errors.ts'],
  ['lib/model'],
  ['lib/site'],
  ['lib/host'],
  ['lib/qubes', 'lib/store'],
  ['lib/passthrough'],
  ['lib/rules'],
  ['lib/auto', 'lib/completion', 'lib/doctor', 'lib/setup', 'library'],
  ['lib/view'],
  ['cli', 'index.ts'],
  ['commands'],
  ['main.ts', 'globals.d.ts'],
]

const floorOf = (room: string): number => FLOORS.findIndex((rooms) => rooms.includes(room))

/** The room that a file of src/ is in. */
function roomOf(file: string): string {
  const [first = '', second = ''] = file.split('/')
  return first === 'lib' ? `lib/${second}` : first
}

/** What a file imports of ours, relative to src/. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(SRC, file), 'utf8')
  return [...text.matchAll(/(?:\bfrom |\bimport\(|^import )'(\.[^']+)'/gm)].map(([, target = '']) =>
    relative(SRC, join(SRC, dirname(file), target)),
  )
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.ts') && !file.startsWith('lab/'),
)

describe('the floors of the architecture', () => {
  it('every room has one', () => {
    expect([...new Set(files.map(roomOf))].filter((room) => floorOf(room) < 0)).toEqual([])
  })

  it('no import runs up, nor into the lab', () => {
    const up = files.flatMap((file) =>
      importsOf(file)
        .filter((target) => !target.startsWith('../'))
        .filter((target) => {
          const [from, to] = [roomOf(file), roomOf(target)]
          return target.startsWith('lab/') || (from !== to && floorOf(to) >= floorOf(from))
        })
        .map((target) => `${file} imports ${target}`),
    )
    expect(up).toEqual([])
  })

  it('the page of the architecture has each room in its table', () => {
    const page = readFileSync(join(SRC, '../docs/architecture.md'), 'utf8')
    const rooms = FLOORS.flat().filter((room) => !room.includes('.'))
    expect(rooms.filter((room) => !page.includes(`\`src/${room}\``))).toEqual([])
  })
})
