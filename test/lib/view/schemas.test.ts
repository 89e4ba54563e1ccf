import { describe, expect, it } from 'vitest'
import { jsonSchema, listSchemas } from '../../../src/lib/view/schemas.ts'

describe('the published schemas', () => {
  it.each(listSchemas().map(({ name }) => [name]))('%s is a JSON Schema of an object', (name) => {
    const schema = jsonSchema(name)
    expect(schema).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object' })
    expect(JSON.parse(JSON.stringify(schema))).toEqual(schema)
  })

  it('cover the contracts', () => {
    const names = listSchemas().map(({ name }) => name)
    expect(names).toEqual(
      expect.arrayContaining(['list', 'attach', 'detach', 'error', 'config', 'site', 'state']),
    )
    expect(jsonSchema('list')).toMatchObject({ required: ['schema', 'devices', 'warnings'] })
    // What has a default may be left out of a file.
    expect(jsonSchema('site')).not.toHaveProperty('required')
  })

  it('know no other name', () => {
    expect(jsonSchema('constructor')).toBeUndefined()
  })
})
