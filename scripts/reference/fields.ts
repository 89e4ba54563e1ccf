import * as z from 'zod/mini'
import { withDefaults } from '../../src/lib/view/schemas.ts'

/** A field of a JSON file, as a manual shows it. */
export interface Field {
  /** Below the file's object, `history.events`. */
  name: string
  /** What may stand there, `a whole number from 1 to 600`; undefined where the meaning says it. */
  value: string | undefined
  /** Whether null may stand there, too. */
  nullable: boolean
  /** As JSON; undefined where there is none. */
  default: string | undefined
  meaning: string
}

type JsonSchema = z.core.JSONSchema.JSONSchema

/**
 * The fields of a file, with those of objects inside it: values from its schema, meanings from a table.
 * @param io whether what has a default may be left out (a file that people write) or is there (one that qusb writes)
 * @param defaults what holds where one is left out
 * @throws Error for a field without a meaning, and for a meaning without a field
 */
export function describeFields(
  schema: z.ZodMiniType,
  meanings: Readonly<Record<string, string>>,
  io: 'input' | 'output',
  defaults?: object,
): Field[] {
  const described = withDefaults(z.toJSONSchema(schema, { io, reused: 'inline' }), defaults)
  const fields = flatten(described, '').map(([name, field]): Field => {
    const meaning = meanings[name]
    if (meaning === undefined) throw new Error(`field-words.ts has no words for the field ${name}`)
    return {
      name,
      value: wordsForValue(field),
      nullable: branches(field).some(({ type }) => type === 'null'),
      default: field.default === undefined ? undefined : JSON.stringify(field.default),
      meaning,
    }
  })
  const known = new Set(fields.map(({ name }) => name))
  const stale = Object.keys(meanings).find((name) => !known.has(name))
  if (stale !== undefined) throw new Error(`field-words.ts has words for ${stale}, which is no field`)
  return fields
}

function flatten(schema: JsonSchema, within: string): [name: string, field: JsonSchema][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]): [string, JsonSchema][] => {
    if (typeof field !== 'object') return []
    const inner = branches(field).find(({ properties }) => properties !== undefined)
    const path = `${within}${name}`
    return inner === undefined ? [[path, field]] : flatten(inner, `${path}.`)
  })
}

/** What a field may be, one by one. */
function branches(field: JsonSchema): JsonSchema[] {
  return (field.anyOf ?? [field]).filter((each) => typeof each === 'object')
}

function wordsForValue(field: JsonSchema): string | undefined {
  const [schema] = branches(field)
  if (schema?.enum !== undefined) return schema.enum.join(', ').replace(/, (?=[^,]*$)/, ' or ')
  if (schema?.const !== undefined) return JSON.stringify(schema.const)
  if (schema?.type === 'boolean') return 'true or false'
  if (schema?.type !== 'integer') return undefined
  const { minimum, maximum } = schema
  const most = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? '' : ` to ${maximum}`
  return `a whole number from ${minimum ?? 0}${most}`
}
