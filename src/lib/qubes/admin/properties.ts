/** The longest line that is looked at, the most properties in one, and the most places where they may begin. */
const LINE_LIMIT = 4096
const PROPERTY_LIMIT = 64
const START_LIMIT = 64

/** Readings of one place beyond which a line is given up. */
const READING_LIMIT = 8

type Chain = { key: string; value: string; next: Chain } | null

/** What is known of a line's places so far. */
interface Readings {
  at: Map<number, Chain[]>
  tooMany: boolean
}

/**
 * Reads a line `HEAD key='value' key='value'` of Qubes 4.3 and later. In a value a quote is written `\'` and a backslash
 * is not escaped, and the head is not quoted at all though a device's serial stands in it; so a line may be read in
 * several ways, and only what `fits` tells them apart.
 * @param fits whether a head belongs to properties
 * @returns the only reading that fits; undefined for none, and for several
 */
export function readProperties(
  line: string,
  fits: (head: string, properties: ReadonlyMap<string, string>) => boolean,
): Map<string, string> | undefined {
  if (line.length > LINE_LIMIT) return undefined
  const known: Readings = { at: new Map(), tooMany: false }
  let found: Map<string, string> | undefined
  let starts = 0
  for (const { index } of line.matchAll(/ [a-z_][a-z0-9_]{0,63}='/g)) {
    if (++starts > START_LIMIT) return undefined
    for (const chain of readFrom(line, index + 1, known, 0)) {
      const properties = toMap(chain)
      if (properties === undefined || !fits(line.slice(0, index), properties)) continue
      if (found !== undefined && !isEqual(found, properties)) return undefined
      found = properties
    }
  }
  return known.tooMany ? undefined : found
}

/** All readings of what stands at a place, to the end of the line. */
function readFrom(line: string, at: number, known: Readings, depth: number): readonly Chain[] {
  const seen = known.at.get(at)
  if (seen !== undefined) return seen
  const readings: Chain[] = []
  const key =
    depth < PROPERTY_LIMIT ? /^([a-z_][a-z0-9_]{0,63})='/.exec(line.slice(at, at + 66))?.[1] : undefined
  if (key !== undefined) {
    const begin = at + key.length + 2
    for (let quote = line.indexOf("'", begin); quote >= 0; quote = line.indexOf("'", quote + 1)) {
      const value = line.slice(begin, quote).replaceAll("\\'", "'")
      if (quote + 1 === line.length) readings.push({ key, value, next: null })
      else if (line[quote + 1] === ' ') {
        for (const next of readFrom(line, quote + 2, known, depth + 1)) readings.push({ key, value, next })
      }
      // A quote inside a value always has its backslash; one with a backslash may still be the end of a value.
      if (quote === begin || line[quote - 1] !== '\\') break
    }
  }
  if (readings.length > READING_LIMIT) known.tooMany = true
  const kept = readings.slice(0, READING_LIMIT)
  known.at.set(at, kept)
  return kept
}

/** @returns undefined where a key comes twice */
function toMap(chain: Chain): Map<string, string> | undefined {
  const properties = new Map<string, string>()
  for (let at = chain; at !== null; at = at.next) {
    if (properties.has(at.key)) return undefined
    properties.set(at.key, at.value)
  }
  return properties
}

function isEqual(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([key, value]) => other.get(key) === value)
}

/** Properties as they stand in the payload of a call. */
export function formatProperties(properties: Readonly<Record<string, string>>): string {
  return Object.entries(properties)
    .map(([key, value]) => `${key}='${value.replaceAll("'", "\\'")}'`)
    .join(' ')
}
