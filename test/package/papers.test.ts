import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { Ajv, type ValidateFunction } from 'ajv'
import formats from 'ajv-formats'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeLibrary } from '../../scripts/bundle/library.mjs'
import { makeBundle } from '../../scripts/bundle/make.mjs'
import { findBundled, findDirect } from '../../scripts/package/bundled.ts'
import { writePapers } from '../../scripts/package/papers.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const work = mkdtempSync(join(tmpdir(), 'qusb-papers-'))
afterAll(() => rmSync(work, { recursive: true, force: true }))

/** CycloneDX's own schema of a version, as its library for JavaScript carries it. */
function compileSchema(version: string): ValidateFunction {
  const require = createRequire(import.meta.url)
  const at = require.resolve('@cyclonedx/cyclonedx-library/package.json')
  const read = (name: string): object =>
    JSON.parse(readFileSync(join(dirname(at), `res/schema/${name}.SNAPSHOT.schema.json`), 'utf8'))
  const ajv = new Ajv({ strict: false, allErrors: true })
  formats.default(ajv, ['date-time', 'email', 'uri', 'uri-reference'])
  // The international ones are not in ajv-formats; what we write is in the plain ones.
  for (const [name, plain] of [
    ['iri-reference', 'uri-reference'],
    ['idn-email', 'email'],
  ] as const) {
    const known = ajv.formats[plain]
    if (known !== undefined) ajv.addFormat(name, known)
  }
  for (const name of ['spdx', 'jsf-0.82'])
    ajv.addSchema(read(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`)
  return ajv.compile(read(`bom-${version}`))
}

describe('the bill of materials', () => {
  let bill: { $schema: string; specVersion: string; components: Record<string, unknown>[] }
  let isBill: ValidateFunction
  beforeAll(async () => {
    const metafiles = [
      await makeBundle({ entry: 'src/main.ts', outfile: join(work, 'qusb.cjs') }),
      await makeLibrary(join(work, 'library.mjs')),
    ]
    const bundled = findBundled(ROOT, metafiles)
    const own = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const origin = { version: own.version, commit: '0'.repeat(40), modified: false, epoch: 1_700_000_000 }
    bill = JSON.parse(writePapers(own, origin, bundled, findDirect(metafiles, bundled)).bill)
    isBill = compileSchema(bill.specVersion)
  })

  it('is one by the schema of its version', () => {
    isBill(bill)
    expect(isBill.errors ?? []).toEqual([])
    expect(bill.$schema).toBe(`http://cyclonedx.org/schema/bom-${bill.specVersion}.schema.json`)
    expect(bill.components.length).toBeGreaterThan(10)
  })

  it.each([
    ['a licence that SPDX does not know', { licenses: [{ license: { id: 'Beer' } }] }],
    ['a digest that is none', { hashes: [{ alg: 'SHA-512', content: 'x' }] }],
    ['a field that there is not', { maker: 'somebody' }],
    ['a component of no kind', { type: 'thing' }],
  ])('would not be one with %s', (_, wrong) => {
    const [first, ...rest] = bill.components
    expect(isBill({ ...bill, components: [{ ...first, ...wrong }, ...rest] })).toBe(false)
  })
})
