import { readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf, storeError } from './failure.ts'

/** Copies of damaged state files that are kept. */
export const MOST_DAMAGED = 10

/** `state.json.damaged-20261126T141420Z-3`: when, by this machine's clock, and which in a row. */
const DAMAGED = /^state\.json\.damaged-[0-9TZ]{1,20}-([1-9][0-9]{0,8})$/

export interface DamagedCopy {
  name: string
  /** Counts up whatever the clock says. */
  number: number
}

/** The damaged state files that were set aside, the latest last. */
export function findDamaged(directory: string): DamagedCopy[] {
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch (error) {
    throw storeError('list', directory, error)
  }
  return names
    .flatMap((name) => {
      const number = DAMAGED.exec(name)?.[1]
      return number === undefined ? [] : [{ name, number: Number(number) }]
    })
    .sort((a, b) => a.number - b.number)
}

/** A path that no copy has. The caller holds the store's lock, so nobody else takes it meanwhile. */
export function chooseDamagedName(directory: string, now: Date): string {
  const number = (findDamaged(directory).at(-1)?.number ?? 0) + 1
  const at = now.toISOString().replace(/\.[0-9]+|[-:]/g, '')
  return join(directory, `state.json.damaged-${at}-${number}`)
}

/**
 * Removes the oldest copies where there are too many.
 * @returns their names
 */
export function pruneDamaged(directory: string): string[] {
  const names = findDamaged(directory)
    .slice(0, -MOST_DAMAGED)
    .map((copy) => copy.name)
  for (const name of names) {
    try {
      unlinkSync(join(directory, name))
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw storeError('remove', join(directory, name), error)
    }
  }
  return names
}
