import * as z from 'zod/mini'
import { ALIAS } from './alias.ts'
import { descriptionSchema, hex4Schema, qubeNameSchema, serialSchema } from './fields.ts'

/** A user's own name for a device. */
export const aliasNameSchema = z
  .string()
  .check(z.regex(ALIAS, 'not a name for a device'))
  .brand<'AliasName'>()

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
