import * as z from 'zod/mini'
import { descriptionSchema, identitySchema, portSchema, qubeNameSchema, usbNumberSchema } from './fields.ts'

/**
 * attaching, detaching: an operation is open (its owner is at work, or died).
 * attached: done and looked at.
 * unresolved: an operation could not be brought to an end; the next command tries again.
 * leftover: the device is free, and the frontend still has a state file that could not be removed yet.
 */
export const phaseSchema = z.enum(['attaching', 'attached', 'detaching', 'unresolved', 'leftover'])

/** What qusb did with a device, or meant to: one record of the store. */
export const attachmentRecordSchema = z.object({
  id: z.string().check(z.regex(/^[0-9a-f]{16}$/)),
  backend: qubeNameSchema,
  port: portSchema,
  frontend: qubeNameSchema,
  /** The call went to the frontend's stub domain, `NAME-dm`. */
  stubdom: z.boolean(),
  device: z.extend(identitySchema, {
    busnum: usbNumberSchema,
    /** null: qubesd alone told of it. */
    devnum: z.nullable(usbNumberSchema),
    description: descriptionSchema,
  }),
  phase: phaseSchema,
  /** What the open operation was to bring about: a crash of an attach is finished, an interrupted one undone. */
  goal: z.enum(['attached', 'free']),
  /** ISO 8601, UTC, by this machine's clock: for people, never for deciding. */
  since: z.iso.datetime(),
  by: z.object({
    user: z.string().check(z.maxLength(64)),
    pid: z.int().check(z.positive()),
    rule: z.nullable(z.string().check(z.maxLength(200))),
  }),
  /** The grant's file name, so that one left behind is found. */
  grant: z.nullable(z.string().check(z.regex(/^34-qusb-[0-9a-f]{16}\.policy$/))),
  bootId: z.string().check(z.maxLength(64)),
  /** Seconds this machine had slept since boot: more of them now means that a suspend closed the attachment. */
  slept: z.number().check(z.nonnegative()),
  backendDomain: z.nullable(z.int().check(z.nonnegative())),
  frontendDomain: z.nullable(z.int().check(z.nonnegative())),
})
export type AttachmentRecord = z.infer<typeof attachmentRecordSchema>

/** Names a device's place: the key by which records and locks are found. */
export function placeOf(at: { backend: string; port: string }): string {
  return `${at.backend}:${at.port}`
}
