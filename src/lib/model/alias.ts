import type * as z from 'zod/mini'
import type { aliasSchema, namedDeviceSchema } from './alias-record.ts'
import type { QubeName } from './names.ts'
import type { Port } from './port.ts'

export const ALIAS = /^[a-z][a-z0-9-]{0,30}$/

export type Alias = z.infer<ReturnType<typeof aliasSchema>>
/** A user's own name for a device. */
export type AliasName = Alias['name']
export type NamedDevice = z.infer<ReturnType<typeof namedDeviceSchema>>
export type Pin = NonNullable<NamedDevice['pin']>

/** @returns the name, or undefined where it cannot be one */
export function parseAliasName(text: string): AliasName | undefined {
  return ALIAS.test(text) ? (text as AliasName) : undefined
}

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
