import * as z from 'zod/mini'
import { qubeNameSchema } from '../model/fields.ts'
import { failureSchema } from '../passthrough/results.ts'

/** mended: by --fix; what was done stands in `mended`. */
const stateSchema = z.enum(['ok', 'mended', 'warning', 'error'])

const findingSchema = z.object({
  state: stateSchema,
  /** The qube it is about; null where it is about this machine. */
  qube: z.nullable(qubeNameSchema),
  /** What a command would fail with for it; null unless it is an error. */
  code: z.nullable(z.string()),
  message: z.string(),
  /** What to do, a sentence or a command to paste. */
  fix: z.nullable(z.string()),
  /** --fix can mend it. */
  mendable: z.boolean(),
  /** With --fix: what was done. */
  mended: z.nullable(z.string()),
})

const checkSchema = z.object({
  id: z.string(),
  title: z.string(),
  /** The worst of its findings. */
  state: stateSchema,
  findings: z.array(findingSchema).check(z.minLength(1)),
})

export const doctorResultSchema = z.object({
  schema: z.literal(1),
  /** The worst of all. */
  state: stateSchema,
  checks: z.array(checkSchema),
  /** The first error that is left. */
  error: z.optional(failureSchema),
})
export type DoctorResult = z.infer<typeof doctorResultSchema>
export type CheckResult = DoctorResult['checks'][number]
export type FindingResult = CheckResult['findings'][number]
