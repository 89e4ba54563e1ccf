import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The date of the newest version in the changelog, the same on every machine: year, month, day. */
function readDate(root: string): [year: number, month: number, day: number] {
  const text = readFileSync(join(root, 'CHANGELOG.md'), 'utf8')
  const [, year, month, day] = /^## .*(\d{4})-(\d\d)-(\d\d)$/m.exec(text) ?? []
  if (year === undefined) throw new Error('CHANGELOG.md has no "## VERSION - YYYY-MM-DD"')
  return [Number(year), Number(month), Number(day)]
}

/** As the man pages have it: `November 26, 2026`. */
export function readChangelogDate(root: string): string {
  const [year, month, day] = readDate(root)
  const months =
    'January February March April May June July August September October November December'.split(' ')
  return `${months[month - 1]} ${day}, ${year}`
}

/** Seconds since 1970. */
export function readChangelogTime(root: string): number {
  const [year, month, day] = readDate(root)
  return Date.UTC(year, month - 1, day) / 1000
}
