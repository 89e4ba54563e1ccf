import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as z from 'zod/mini'
import { describeFields } from '../../scripts/reference/fields.ts'
import { fillPage } from '../../scripts/reference/mdoc.ts'
import { parseRules } from '../../src/lib/rules/parse.ts'
import { configFileSchema } from '../../src/lib/site/config.ts'

const pages = readdirSync('man').map((name) => ({ name, text: readFileSync(join('man', name), 'utf8') }))

/** The first thing that stands as it is below the examples of a page. */
function exampleOf(name: string): string {
  const text = pages.find((page) => page.name === name)?.text ?? ''
  const [, shown = ''] = /^\.Sh EXAMPLES\n.*?^\.Bd[^\n]*\n(.*?)^\.Ed/ms.exec(text) ?? []
  return shown.replaceAll('\\-', '-').replaceAll('\\(dq', '"').replaceAll('\\e', '\\')
}

describe('the manual', () => {
  it('shows rules that can be read', () => {
    const { rules, problems } = parseRules(exampleOf('qusb.rules.5'), 'qusb.rules.5')
    expect(problems).toEqual([])
    expect(rules).toHaveLength(5)
  })

  it('shows a configuration that is valid', () => {
    expect(configFileSchema().parse(JSON.parse(exampleOf('qusb.json.5')))).toMatchObject({ timeout: 30 })
  })

  it('leads from page to page, and to none that is not there', () => {
    const ours = new Set(pages.map(({ name }) => name))
    const named = new Set<string>()
    for (const { name, text } of pages) {
      for (const [, page, section] of text.matchAll(/^\.(?:It )?Xr (qusb\S*) (\d)/gm)) {
        expect(ours, `${name} names ${page}(${section})`).toContain(`${page}.${section}`)
        named.add(`${page}.${section}`)
      }
    }
    expect([...named].sort()).toEqual([...ours].sort())
  })

  it('has no word in a heading that mdoc takes for a macro', () => {
    const macro = /^\.S[hs] (?:.* )?[A-Z][a-z](?: |$)/
    for (const { name, text } of pages) {
      expect(
        text.split('\n').filter((line) => macro.test(line)),
        name,
      ).toEqual([])
    }
  })

  it('has a meaning for each field of a file, and a field for each meaning', () => {
    const schema = z.strictObject({
      size: z._default(z.int().check(z.minimum(1), z.maximum(5)), 2),
      inner: z.strictObject({ on: z._default(z.boolean(), true), how: z.nullable(z.enum(['a', 'b', 'c'])) }),
    })
    const words = { size: 'Size.', 'inner.on': 'On.', 'inner.how': 'How.' }
    expect(describeFields(schema, words, 'input')).toEqual([
      { name: 'size', meaning: 'Size.', value: 'a whole number from 1 to 5', nullable: false, default: '2' },
      { name: 'inner.on', meaning: 'On.', value: 'true or false', nullable: false, default: 'true' },
      { name: 'inner.how', meaning: 'How.', value: 'a, b or c', nullable: true, default: undefined },
    ])
    expect(() => describeFields(schema, { ...words, old: 'Old.' }, 'input')).toThrow('old')
    expect(() => describeFields(schema, { size: 'Size.' }, 'input')).toThrow('inner.on')
  })

  it('leaves no place for a list empty', () => {
    expect(fillPage('a\n@LIST@\nb', { '@LIST@': ['1', '2'] })).toBe('a\n1\n2\nb')
    expect(() => fillPage('@NONE@', {})).toThrow('@NONE@')
  })
})
