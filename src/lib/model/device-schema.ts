import * as z from 'zod/mini'
import {
  hex4Schema,
  interfacesSchema,
  portSchema,
  qubeNameSchema,
  serialSchema,
  usbNumberSchema,
} from './fields.ts'

export const deviceStateSchema = z.enum(['free', 'attached', 'unknown'])

/** Why data would be lost if the backend lost the device. */
export const usageSchema = z.object({
  /** mounted: what is the mount point; swap; holder: device-mapper or md on top; given: a qube has its block device. */
  kind: z.enum(['mounted', 'swap', 'holder', 'given']),
  block: z.string().check(z.maxLength(32)),
  what: z.nullable(z.string().check(z.maxLength(200))),
})

/** A device of a backend, as one survey saw it. Every text in it is clean; what is absent is null. */
export const deviceSchema = z.object({
  backend: qubeNameSchema,
  port: portSchema,
  /**
   * By whose word it is here: its backend's, which was looked into; or qubesd's, where policy or the backend has no shell
   * for that. What qubesd does not know is null, or `unknown`.
   */
  toldBy: z.enum(['backend', 'qubesd']),
  busnum: usbNumberSchema,
  /** null: not known. */
  devnum: z.nullable(usbNumberSchema),
  /** `0000`, with the product's `0000`: not known, as qubesd writes it. */
  vendorId: hex4Schema,
  productId: hex4Schema,
  serial: serialSchema,
  /** The device has a serial that cannot be told apart safely, so it counts as none. */
  serialUnsafe: z.boolean(),
  manufacturer: z.nullable(z.string().check(z.maxLength(200))),
  product: z.nullable(z.string().check(z.maxLength(200))),
  interfaces: interfacesSchema,
  /** Mb/s */
  speed: z.nullable(z.number().check(z.positive())),
  state: deviceStateSchema,
  attachedTo: z.nullable(qubeNameSchema),
  /** The driver that has the device as a whole: `usb`, `usbip-host`, or null for none. */
  driver: z.nullable(z.string().check(z.maxLength(64))),
  /** The drivers of its interfaces. */
  interfaceDrivers: z.array(z.string().check(z.maxLength(64))).check(z.maxLength(64)),
  hub: z.boolean(),
  /** The backend does not publish it, on purpose. */
  hidden: z.boolean(),
  /** PCI address of its USB controller, `0000:00:14.0`. */
  controller: z.nullable(z.string().check(z.maxLength(32))),
  /** dom0 types or points with it now: an input sender runs on it. null: not known. */
  inputForDom0: z.nullable(z.boolean()),
  /** null: not known. */
  usage: z.nullable(z.array(usageSchema).check(z.maxLength(64))),
})
