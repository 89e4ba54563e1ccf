import * as z from 'zod'
import { qubeNameSchema } from '../model/names.ts'
import { failureSchema } from '../passthrough/results.ts'

/** mended: by --fix; what was done stands in `mended`. */
const stateSchema = z.enum(['ok', 'mended', 'warning', 'error'])

const findingSchema = z.object({
  state: stateSchema,
  /** The qube it is about; null where it is about this machine. */
  qube: qubeNameSchema.nullable(),
  /** What a command would fail with for it; null unless it is an error. */
  code: z.string().nullable(),
  message: z.string(),
  /** What to do, a sentence or a command to paste. */
  fix: z.string().nullable(),
  /** --fix can mend it. */
  mendable: z.boolean(),
  /** With --fix: what was done. */
  mended: z.string().nullable(),
})

const checkSchema = z.object({
  id: z.string(),
  title: z.string(),
  /** The worst of its findings. */
  state: stateSchema,
  findings: z.array(findingSchema).min(1),
})

export const doctorResultSchema = z.object({
  schema: z.literal(1),
  /** The worst of all. */
  state: stateSchema,
  checks: z.array(checkSchema),
  /** The first error that is left. */
  error: failureSchema.optional(),
})
export type DoctorResult = z.infer<typeof doctorResultSchema>
export type CheckResult = DoctorResult['checks'][number]
export type FindingResult = CheckResult['findings'][number]
