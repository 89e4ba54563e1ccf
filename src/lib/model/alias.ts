import * as z from 'zod/mini'
import { descriptionSchema, hex4Schema, serialSchema } from './identity.ts'
import { type QubeName, qubeNameSchema } from './names.ts'
import type { Port } from './port.ts'

const ALIAS = /^[a-z][a-z0-9-]{0,30}$/

/** A user's own name for a device. */
export const aliasNameSchema = z
  .string()
  .check(z.regex(ALIAS, 'not a name for a device'))
  .brand<'AliasName'>()
export type AliasName = z.infer<typeof aliasNameSchema>

/** @returns the name, or undefined where it cannot be one */
export function parseAliasName(text: string): AliasName | undefined {
  return ALIAS.test(text) ? (text as AliasName) : undefined
}

/**
 * A socket that stays the same over reboots, which number the buses anew: the PCI address of the controller as its
 * backend sees it, which of the controller's two buses, and the ports from there down.
 */
export const pinSchema = z.strictObject({
  backend: qubeNameSchema,
  controller: z.nullable(z.string().check(z.maxLength(32))),
  bus: z.enum(['usb2', 'usb3']),
  path: z.string().check(z.regex(/^[1-9][0-9]{0,2}(\.[1-9][0-9]{0,2}){0,6}$/)),
})
export type Pin = z.infer<typeof pinSchema>

/** One device that has a name: by its serial, wherever it is plugged, or pinned to where it is plugged. */
export const namedDeviceSchema = z.strictObject({
  vendorId: hex4Schema,
  productId: hex4Schema,
  serial: serialSchema,
  /** Never null where there is no serial: else any device of the kind would have the name. */
  pin: z.nullable(pinSchema),
  /** What it said it was when it was named: for people. */
  description: descriptionSchema,
})
export type NamedDevice = z.infer<typeof namedDeviceSchema>

/** A name and its devices: several, where one device shows up as another in its bootloader. */
export const aliasSchema = z.strictObject({
  name: aliasNameSchema,
  devices: z
    .array(
      namedDeviceSchema.check(
        z.refine(({ serial, pin }) => serial !== null || pin !== null, 'names any device'),
      ),
    )
    .check(z.minLength(1), z.maxLength(32)),
})
export type Alias = z.infer<typeof aliasSchema>

/** What a name is looked up for. */
interface Nameable {
  backend: QubeName
  port: Port
  vendorId: string
  productId: string
  serial: string | null
  controller: string | null
  speed: number | null
}

/** Where a device is plugged, as a pin. */
export function pinOf(device: Nameable): Pin {
  return {
    backend: device.backend,
    controller: device.controller,
    // A controller has one root hub for 5 Gb/s and more, and one for the rest, each with ports of its own.
    bus: (device.speed ?? 0) >= 5000 ? 'usb3' : 'usb2',
    path: device.port.slice(device.port.indexOf('-') + 1),
  }
}

/** Whether this is the device that was named. */
export function isNamedDevice(named: NamedDevice, device: Nameable): boolean {
  if (named.vendorId !== device.vendorId || named.productId !== device.productId) return false
  if (named.serial !== device.serial) return false
  if (named.pin === null) return true
  const pin = pinOf(device)
  return (
    named.pin.backend === pin.backend &&
    named.pin.controller === pin.controller &&
    named.pin.bus === pin.bus &&
    named.pin.path === pin.path
  )
}

/** Whether two of them name one and the same device, whatever it said it was. */
export function sameNamedDevice(a: NamedDevice, b: NamedDevice): boolean {
  const keyOf = ({ vendorId, productId, serial, pin }: NamedDevice): string =>
    JSON.stringify([vendorId, productId, serial, pin && [pin.backend, pin.controller, pin.bus, pin.path]])
  return keyOf(a) === keyOf(b)
}

/** The names that a device has, in the order of the file. */
export function aliasesOf(device: Nameable, aliases: readonly Alias[]): AliasName[] {
  return aliases
    .filter((alias) => alias.devices.some((named) => isNamedDevice(named, device)))
    .map((alias) => alias.name)
}
