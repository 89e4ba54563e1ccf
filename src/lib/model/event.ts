import * as z from 'zod/mini'
import { descriptionSchema, hex4Schema, portSchema, qubeNameSchema, serialSchema } from './fields.ts'

/** One line of the history: something that began or ended. */
export const historyEventSchema = z.object({
  /** ISO 8601, UTC. */
  at: z.iso.datetime(),
  what: z.enum(['attached', 'detached', 'failed', 'ended']),
  backend: qubeNameSchema,
  port: portSchema,
  frontend: qubeNameSchema,
  vendorId: hex4Schema,
  productId: hex4Schema,
  serial: serialSchema,
  description: descriptionSchema,
  /** Who asked: a login name; null where another tool or nobody did. */
  user: z.nullable(z.string().check(z.maxLength(64))),
  rule: z.nullable(z.string().check(z.maxLength(200))),
  /** How it ended, for `failed` the error's code: unplugged, restart, reboot, suspend, other-tool, TIMEOUT, … */
  how: z.nullable(z.string().check(z.maxLength(64))),
})
export type HistoryEvent = z.infer<typeof historyEventSchema>
