import { readFileSync } from 'node:fs'
import type { Site } from './site.ts'

/** What this boot is, and how much of it the machine slept: what an attachment does not outlive. */
export interface Moment {
  /** ISO 8601, UTC: for people. */
  now: string
  bootId: string
  /** Seconds asleep since boot. */
  slept: number
}

/**
 * Reads the boot id, and the time asleep: /proc/uptime counts it, the monotonic clock does not
 * (clock_gettime(2), CLOCK_BOOTTIME and CLOCK_MONOTONIC).
 */
export function readMoment(site: Site): Moment {
  let bootId = 'unknown'
  try {
    const text = readFileSync(site.bootIdFile, 'utf8').trim()
    if (/^[0-9a-f-]{1,64}$/.test(text)) bootId = text
  } catch {
    // Without one, records still have both domain ids to tell a restart by.
  }
  return { now: new Date().toISOString(), bootId, slept: readSlept() }
}

function readSlept(): number {
  try {
    const uptime = Number.parseFloat(readFileSync('/proc/uptime', 'utf8'))
    const awake = Number(process.hrtime.bigint()) / 1e9
    // Below a second it is the two clocks' own difference.
    return Number.isFinite(uptime) && uptime - awake >= 1 ? Math.round(uptime - awake) : 0
  } catch {
    return 0
  }
}
