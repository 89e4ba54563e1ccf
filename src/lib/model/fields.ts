import * as z from 'zod/mini'
import { HEX4, INTERFACE_CODE, SERIAL_LIMIT } from './identity.ts'
import { PORT } from './port.ts'

// The schemas of what records of several kinds hold. They stand apart from what they describe, which every run needs:
// making schemas is a fiftieth of a listing, and one that reads no record makes none.

export { qubeNameSchema } from './name-schema.ts'

export const portSchema = z.string().check(z.regex(PORT, 'not a USB port')).brand<'Port'>()

/** The number of a bus, and of a device on it: the kernel counts up to 127 devices, three digits are read. */
export const usbNumberSchema = z.int().check(z.minimum(1), z.maximum(999))

export const hex4Schema = z.string().check(z.regex(HEX4))
export const interfaceCodeSchema = z.string().check(z.regex(INTERFACE_CODE))

/** null: none, or one that needed cleaning (then `serialUnsafe` is set where the device is shown). */
export const serialSchema = z.nullable(z.string().check(z.maxLength(SERIAL_LIMIT)))

/** Class, subclass and protocol of each interface, six hex digits each, in the order of the device. */
export const interfacesSchema = z.array(interfaceCodeSchema).check(z.maxLength(64))

/** Maker and product, clean, for people. */
export const descriptionSchema = z.string().check(z.maxLength(400))

/** What a device is, wherever it is plugged. */
export const identitySchema = z.object({
  vendorId: hex4Schema,
  productId: hex4Schema,
  serial: serialSchema,
  interfaces: interfacesSchema,
})
