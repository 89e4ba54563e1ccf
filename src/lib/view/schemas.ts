import * as z from 'zod/mini'
import { doctorResultSchema } from '../doctor/results.ts'
import { RESULT_SCHEMAS } from '../passthrough/results.ts'
import { ALIAS_RESULT_SCHEMAS } from '../rules/alias-results.ts'
import { RULE_SCHEMAS } from '../rules/results.ts'
import { configFileSchema, DEFAULT_CONFIG } from '../site/config.ts'
import { QUBES_OS, siteFileSchema } from '../site/site.ts'
import { aliasFileSchema } from '../store/aliases.ts'
import { stateSchema } from '../store/state.ts'

type JsonSchema = z.core.JSONSchema.JSONSchema

/** A published schema: of a document that a command prints, or of a file. */
interface Published {
  description: string
  schema: z.ZodMiniType
  /** Files are described as a person may write them: what has a default may be left out. */
  io: 'input' | 'output'
  /** What holds where a file leaves something out. */
  defaults?: object
}

function files(): Record<string, Published> {
  return {
    aliases: {
      description: 'the aliases, aliases.json in /etc/qusb',
      schema: aliasFileSchema(),
      io: 'input',
    },
    config: {
      description: 'the configuration, config.json in /etc/qusb',
      schema: configFileSchema(),
      defaults: DEFAULT_CONFIG,
      io: 'input',
    },
    site: {
      description: 'a site file, see QUSB_SITE',
      schema: siteFileSchema(),
      defaults: QUBES_OS,
      io: 'input',
    },
    state: { description: 'the store, state.json in /var/lib/qusb', schema: stateSchema, io: 'output' },
  }
}

function published(): Record<string, Published> {
  const documents = {
    ...RESULT_SCHEMAS,
    ...ALIAS_RESULT_SCHEMAS,
    ...RULE_SCHEMAS,
    doctor: doctorResultSchema,
  }
  const results = Object.entries(documents).map(([name, schema]): [string, Published] => [
    name,
    {
      description:
        name === 'error'
          ? 'what --json prints when a command fails'
          : `what "qusb ${name === 'setup' ? 'setup dom0' : name.replace('-', ' ')} --json" prints`,
      schema,
      io: 'output',
    },
  ])
  return { ...Object.fromEntries(results), ...files() }
}

/** The names of the published schemas, and what each is of. */
export function listSchemas(): { name: string; description: string }[] {
  return Object.entries(published()).map(([name, { description }]) => ({ name, description }))
}

/**
 * A published schema as JSON Schema, draft 2020-12.
 * @returns undefined when there is none of that name
 */
export function jsonSchema(name: string): object | undefined {
  const all = published()
  const found = Object.hasOwn(all, name) ? all[name] : undefined
  if (found === undefined) return undefined
  const schema = z.toJSONSchema(found.schema, { io: found.io, reused: 'ref' })
  return { title: `qusb ${name}`, description: found.description, ...withDefaults(schema, found.defaults) }
}

/** A JSON Schema of an object that tells what holds where something is left out. */
export function withDefaults(schema: JsonSchema, defaults: object = {}): JsonSchema {
  const properties = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const value: unknown = defaults[name as keyof typeof defaults]
    if (value === undefined || typeof property !== 'object') return [name, property]
    const isObject = property.properties !== undefined && typeof value === 'object' && value !== null
    return [name, isObject ? withDefaults(property, value) : { ...property, default: value }]
  })
  return schema.properties === undefined ? schema : { ...schema, properties: Object.fromEntries(properties) }
}
