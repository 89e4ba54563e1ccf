import * as z from 'zod/mini'
import { ALIAS, type NamedDevice } from './alias.ts'
import { descriptionSchema, hex4Schema, qubeNameSchema, serialSchema } from './fields.ts'

// Made when there are aliases to check, or words to publish: most runs meet none.

/** One device that has a name: by its serial, wherever it is plugged, or pinned to where it is plugged. */
export function namedDeviceSchema() {
  return z.strictObject({
    vendorId: hex4Schema,
    productId: hex4Schema,
    serial: serialSchema,
    /**
     * A socket that stays the same over reboots, which number the buses anew: the PCI address of the controller as its
     * backend sees it, which of the controller's two buses, and the ports from there down. Never null where there is no
     * serial: else any device of the kind would have the name.
     */
    pin: z.nullable(
      z.strictObject({
        backend: qubeNameSchema,
        controller: z.nullable(z.string().check(z.maxLength(32))),
        bus: z.enum(['usb2', 'usb3']),
        path: z.string().check(z.regex(/^[1-9][0-9]{0,2}(\.[1-9][0-9]{0,2}){0,6}$/)),
      }),
    ),
    /** What it said it was when it was named: for people. */
    description: descriptionSchema,
  })
}

/** A name and its devices: several, where one device shows up as another in its bootloader. */
export function aliasSchema() {
  const names = z.refine<NamedDevice>(
    ({ serial, pin }) => serial !== null || pin !== null,
    'names any device',
  )
  return z.strictObject({
    /** A user's own name for a device. */
    name: z.string().check(z.regex(ALIAS, 'not a name for a device')).brand<'AliasName'>(),
    devices: z.array(namedDeviceSchema().check(names)).check(z.minLength(1), z.maxLength(32)),
  })
}
