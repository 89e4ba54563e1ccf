import * as z from 'zod/mini'
import { aliasSchema, namedDeviceSchema } from '../model/alias-record.ts'
import { warningSchema } from '../passthrough/results.ts'

const schema = z.literal(1)
const alias = aliasSchema()

const aliasAddResultSchema = z.object({
  schema,
  changed: z.boolean(),
  /** As it is now, with all of its devices. */
  alias,
  /** The device that was named, as it is known again: `pin` is null where the name follows it to any port. */
  device: namedDeviceSchema(),
  warnings: z.array(warningSchema),
})
export type AliasAddResult = z.infer<typeof aliasAddResultSchema>

const aliasRemoveResultSchema = z.object({
  schema,
  changed: z.boolean(),
  /** As it was; null where there was none. */
  alias: z.nullable(alias),
  warnings: z.array(warningSchema),
})
export type AliasRemoveResult = z.infer<typeof aliasRemoveResultSchema>

const aliasListResultSchema = z.object({
  schema,
  aliases: z.array(alias),
  warnings: z.array(warningSchema),
})
export type AliasListResult = z.infer<typeof aliasListResultSchema>

/** Every document that `--json` of the alias commands can print. */
export const ALIAS_RESULT_SCHEMAS = {
  'alias-add': aliasAddResultSchema,
  'alias-list': aliasListResultSchema,
  'alias-remove': aliasRemoveResultSchema,
} as const
