import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const facts = readFileSync(join(ROOT, 'docs/facts.md'), 'utf8')
const headings = [...facts.matchAll(/^###? (.+)$/gm)].map(([, title = '']) =>
  title
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .replaceAll(' ', '-'),
)

const code = ['src', 'scripts', 'bench', 'test'].flatMap((directory) =>
  readdirSync(join(ROOT, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mjs|cjs|sh)$/.test(name))
    .map((name) => join(directory, name))
    .filter((file) => file !== 'test/docs/facts.test.ts')
    .map((file) => ({ file, text: readFileSync(join(ROOT, file), 'utf8') })),
)

/** Each pointer to a fact in the code: the file, and the heading. */
const pointers = code.flatMap(({ file, text }) =>
  [...text.matchAll(/docs\/facts\.md(?:#([\w-]*))?/g)].map(([, heading = '']): [string, string] => [
    file,
    heading,
  ]),
)

describe('the facts about the outside', () => {
  it('are pointed to by headings that there are', () => {
    expect(pointers.length).toBeGreaterThan(20)
    expect(pointers.filter(([, heading]) => !headings.includes(heading))).toEqual([])
  })

  it('are looked for nowhere else', () => {
    expect(code.filter(({ text }) => /\b(FACTS|KERNEL-LAB|DESIGN)\b/.test(text))).toEqual([])
  })

  it('have a heading each, a source each, and say whether they were tried', () => {
    expect(headings).toHaveLength(new Set(headings).size)
    for (const fact of facts.split(/^### /m).slice(1)) {
      expect(fact).toMatch(/Source:\s/)
      expect(fact).toMatch(/\*(tried|read)\*/)
    }
  })
})
