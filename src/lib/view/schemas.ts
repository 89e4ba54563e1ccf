import * as z from 'zod/mini'
import { doctorResultSchema } from '../doctor/results.ts'
import { RESULT_SCHEMAS } from '../passthrough/results.ts'
import { ALIAS_RESULT_SCHEMAS } from '../rules/alias-results.ts'
import { RULE_SCHEMAS } from '../rules/results.ts'
import { configSchema } from '../site/config.ts'
import { siteSchema } from '../site/site.ts'
import { aliasFileSchema } from '../store/aliases.ts'
import { stateSchema } from '../store/state.ts'

/** A published schema: of a document that a command prints, or of a file. */
interface Published {
  description: string
  schema: z.ZodMiniType
  /** Files are described as a person may write them: what has a default may be left out. */
  io: 'input' | 'output'
}

const FILES: Record<string, Published> = {
  aliases: { description: 'the aliases, aliases.json in /etc/qusb', schema: aliasFileSchema, io: 'input' },
  config: { description: 'the configuration, config.json in /etc/qusb', schema: configSchema, io: 'input' },
  site: { description: 'a site file, see QUSB_SITE', schema: siteSchema, io: 'input' },
  state: { description: 'the store, state.json in /var/lib/qusb', schema: stateSchema, io: 'output' },
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
  return { ...Object.fromEntries(results), ...FILES }
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
  return { title: `qusb ${name}`, description: found.description, ...schema }
}
