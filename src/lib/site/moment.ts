import { readFileSync } from 'node:fs'
import type { Site } from './site.ts'
import { isManagementQube } from './standpoint.ts'

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
  return { now: new Date().toISOString(), bootId: readBootId(site), slept: readSlept(site) }
}

/**
 * The id of this boot of dom0. Without one, records still have both domain ids to tell a restart by. A management qube has
 * none: its own restart ends no attachment, and dom0's cannot be seen from there.
 */
export function readBootId(site: Site): string {
  if (isManagementQube(site)) return 'unknown'
  try {
    const text = readFileSync(site.bootIdFile, 'latin1').trim()
    return /^[0-9A-Za-z-]{1,64}$/.test(text) ? text : 'unknown'
  } catch {
    return 'unknown'
  }
}

function readSlept(site: Site): number {
  try {
    const uptime = Number.parseFloat(readFileSync(site.uptimeFile, 'latin1'))
    const awake = Number(process.hrtime.bigint()) / 1e9
    // Below a second it is the two clocks' own difference.
    return Number.isFinite(uptime) && uptime - awake >= 1 ? Math.round(uptime - awake) : 0
  } catch {
    return 0
  }
}
