import type * as z from 'zod/mini'
import type { identitySchema } from './fields.ts'

export const HEX4 = /^[0-9a-f]{4}$/
export const INTERFACE_CODE = /^[0-9a-f]{6}$/

/** Whether a text is what a vendor's or a product's id is written as. */
export function isHex4(text: string | undefined): text is string {
  return text !== undefined && HEX4.test(text)
}

/** Whether a text is class, subclass and protocol of an interface. */
export function isInterfaceCode(text: string): boolean {
  return INTERFACE_CODE.test(text)
}

/** The longest serial that counts: USB string descriptors hold at most 126 UTF-16 units (USB 2.0, 9.6.7). */
export const SERIAL_LIMIT = 126

/** What a device is, wherever it is plugged. */
export type Identity = z.infer<typeof identitySchema>

/** Whether it is known what the device is: qubesd writes `0000:0000` where it does not know. */
export function isIdentified(identity: { vendorId: string; productId: string }): boolean {
  return identity.vendorId !== '0000' || identity.productId !== '0000'
}

/** `1050:0407`; `?` where it is not known. */
export function formatVidPid(identity: { vendorId: string; productId: string }): string {
  return !isIdentified(identity) ? '?' : `${identity.vendorId}:${identity.productId}`
}

/**
 * Whether two looks saw the same device. Interfaces are compared only when both looks have any: a device that USBGuard
 * has not authorized shows none.
 */
export function sameIdentity(a: Identity, b: Identity): boolean {
  return (
    a.vendorId === b.vendorId &&
    a.productId === b.productId &&
    a.serial === b.serial &&
    (a.interfaces.length === 0 || b.interfaces.length === 0 || a.interfaces.join() === b.interfaces.join())
  )
}
