import type * as z from 'zod/mini'
import type { portSchema } from './fields.ts'

/**
 * Where a device is plugged, as sysfs names it: bus, `-`, then the ports down from the root hub, `2-1.4`.
 * Linux allows 6 hubs in a row below the root (drivers/usb/core/hub.c, MAX_TOPO_LEVEL), so at most 7 numbers here;
 * a bus or port number has at most three digits and no leading zero.
 */
export const PORT = /^[1-9][0-9]{0,2}-[1-9][0-9]{0,2}(\.[1-9][0-9]{0,2}){0,6}$/

export type Port = z.infer<typeof portSchema>

export function parsePort(text: string): Port | undefined {
  return PORT.test(text) ? (text as Port) : undefined
}

/** The port as a key of QubesDB, where a dot cannot stand: `2-1_4`. */
export function portToQubesDbKey(port: Port): string {
  return port.replaceAll('.', '_')
}

export function portFromQubesDbKey(key: string): Port | undefined {
  return /[.]/.test(key) ? undefined : parsePort(key.replaceAll('_', '.'))
}

/** The port of the hub above, or undefined where that is the root hub. */
export function parentPort(port: Port): Port | undefined {
  const dot = port.lastIndexOf('.')
  return dot < 0 ? undefined : (port.slice(0, dot) as Port)
}

export function busOf(port: Port): number {
  return Number.parseInt(port, 10)
}

/** Orders ports as a person counts: 2-2 before 2-10. */
export function comparePorts(a: Port, b: Port): number {
  const left = a.split(/[-.]/).map(Number)
  const right = b.split(/[-.]/).map(Number)
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? -1) - (right[i] ?? -1)
    if (difference !== 0) return difference
  }
  return 0
}
