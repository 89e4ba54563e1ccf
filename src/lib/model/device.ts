import type * as z from 'zod/mini'
import type { deviceSchema, usageSchema } from './device-schema.ts'
import { type Identity, isIdentified, sameIdentity } from './identity.ts'

export type Device = z.infer<typeof deviceSchema>
export type Usage = z.infer<typeof usageSchema>

/** Whether nobody has it, as far as its teller can know: where only qubesd tells, it refuses by itself what another has. */
export function mayBeFree(device: Device): boolean {
  return device.attachedTo === null && (device.state === 'free' || device.toldBy === 'qubesd')
}

/** What tells one plug of a device from the next, and from that of another device. */
type Plugged = Identity & Pick<Device, 'busnum' | 'devnum'>

/**
 * Whether two looks saw one device at one place: identity, and the numbers that a replug changes. What one of them does
 * not know, since it is by qubesd's word, is taken to be the same.
 */
export function isSame(a: Plugged, b: Plugged): boolean {
  const sameNumbers =
    a.busnum === b.busnum && (a.devnum === b.devnum || a.devnum === null || b.devnum === null)
  return sameNumbers && (!isIdentified(a) || !isIdentified(b) || sameIdentity(a, b))
}
