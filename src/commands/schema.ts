import { string } from '@oclif/core/args'
import { QusbCommand } from '../cli/command.ts'
import { QusbError } from '../lib/errors.ts'
import { jsonSchema, listSchemas } from '../lib/view/schemas.ts'

export default class Schema extends QusbCommand {
  static override summary = 'Print the JSON schemas of what --json prints and of the files.'
  static override description =
    'Without a name, lists the schemas. With one, prints it as JSON Schema (draft 2020-12). With --json, prints all of them or the named one in one document.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> list',
  ]
  static override args = { name: string({ description: 'which schema' }) }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Schema)
    const names = args.name === undefined ? listSchemas().map(({ name }) => name) : [args.name]
    const schemas = Object.fromEntries(names.map((name) => [name, findSchema(name)]))
    this.report({ result: { schema: 1, schemas } }, flags, () =>
      args.name === undefined ? renderNames() : `${JSON.stringify(schemas[args.name], null, 2)}\n`,
    )
  }
}

function findSchema(name: string): object {
  const schema = jsonSchema(name)
  if (schema !== undefined) return schema
  const known = listSchemas().map(({ name }) => name)
  throw new QusbError('NOT_FOUND', `there is no schema "${name}"`, { hint: `There are ${known.join(', ')}.` })
}

function renderNames(): string {
  const schemas = listSchemas()
  const width = Math.max(...schemas.map(({ name }) => name.length))
  return schemas.map(({ name, description }) => `${name.padEnd(width)}  ${description}\n`).join('')
}
