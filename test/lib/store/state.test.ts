import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type AttachmentRecord,
  attachmentRecordSchema,
  phaseSchema,
} from '../../../src/lib/model/attachment.ts'
import {
  emptyState,
  formatState,
  MOST_ATTACHMENTS,
  parseState,
  type State,
} from '../../../src/lib/store/state.ts'
import { makeRecord } from './temporary-site.ts'

function parse(text: string) {
  return parseState(Buffer.from(text))
}

/** Any UTF-16 units, halves of surrogate pairs and control characters among them. */
function anyText(maxLength: number): fc.Arbitrary<string> {
  const unit = fc.oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0, max: 0xffff }))
  return fc.array(unit, { maxLength }).map((units) => String.fromCharCode(...units))
}

const anyRecord: fc.Arbitrary<AttachmentRecord> = fc
  .record({
    number: fc.integer({ min: 0, max: 2 ** 40 }),
    backend: fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9_.-]{0,12}[a-z0-9]$/),
    frontend: fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9_.-]{0,12}[a-z0-9]$/),
    port: fc.stringMatching(/^[1-9]-[1-9](\.[1-9]){0,6}$/),
    serial: fc.option(anyText(126)),
    description: anyText(400),
    user: anyText(64),
    rule: fc.option(anyText(200)),
    phase: fc.constantFrom(...phaseSchema.options),
    domain: fc.option(fc.nat()),
  })
  .map(({ number, backend, frontend, port, serial, description, user, rule, phase, domain }) => {
    const base = makeRecord(number)
    return {
      ...base,
      backend,
      frontend,
      port,
      phase,
      device: { ...base.device, serial, description },
      by: { ...base.by, user, rule },
      backendDomain: domain,
    }
  })
  .filter((record): record is AttachmentRecord => attachmentRecordSchema.safeParse(record).success)

const anyState: fc.Arbitrary<State> = fc
  .uniqueArray(anyRecord, { selector: (record) => record.id, maxLength: 8 })
  .map((attachments) => ({ ...emptyState('boot'), attachments }))

describe('a state', () => {
  it('reads back as it was written', () => {
    fc.assert(
      fc.property(anyState, (state) => {
        expect(parse(formatState(state))).toEqual({ kind: 'valid', state, migrated: false })
      }),
      { numRuns: 300 },
    )
  })

  it('is written one record a line, in the order given, without a character that does not show', () => {
    fc.assert(
      fc.property(anyState, (state) => {
        const text = formatState(state)
        expect(text).not.toMatch(/[^\n\P{C}]|[\u2028\u2029]/u)
        const lines = text.split('\n')
        for (const { id } of state.attachments) {
          expect(lines.filter((line) => line.includes(`"id":"${id}"`))).toHaveLength(1)
        }
        const ids = [...text.matchAll(/^ {4}\{"id":"([0-9a-f]{16})"/gm)].map((match) => match[1])
        expect(ids).toEqual(state.attachments.map((record) => record.id))
      }),
      { numRuns: 200 },
    )
  })

  it('is damaged, never a crash and never more records, when it is cut anywhere', () => {
    fc.assert(
      fc.property(anyState, fc.nat(), (state, at) => {
        const content = Buffer.from(formatState(state).trimEnd())
        const parsed = parseState(content.subarray(0, at % content.length))
        expect(parsed).toMatchObject({ kind: 'damaged', state: { attachments: [] } })
      }),
      { numRuns: 300 },
    )
  })

  it('never yields a record that is not valid, whatever bytes are changed', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    })
    fc.assert(
      fc.property(anyState, changes, (state, changed) => {
        const content = Buffer.from(formatState(state))
        for (const [at, byte] of changed) content[at % content.length] = byte
        const parsed = parseState(content)
        if (parsed.kind === 'later') return
        for (const record of parsed.state.attachments) attachmentRecordSchema.parse(record)
        const ids = parsed.state.attachments.map((record) => record.id)
        expect(new Set(ids).size).toBe(ids.length)
      }),
      { numRuns: 500 },
    )
  })
})

describe('a state file that is not as it should be', () => {
  const record = JSON.stringify(makeRecord(1))
  const cases: [name: string, text: string, why: RegExp][] = [
    ['empty', '', /empty/],
    ['zeroes, as after a power cut', '\0'.repeat(400), /not JSON/],
    ['text', 'hello', /not JSON/],
    ['an array', '[]', /no JSON object/],
    ['null', 'null', /no JSON object/],
    ['a schema that is text', '{"schema":"1","bootId":"b","attachments":[]}', /schema/],
    ['a negative schema', '{"schema":-1,"bootId":"b","attachments":[]}', /schema/],
    ['half a schema', '{"schema":0.5,"bootId":"b","attachments":[]}', /schema/],
    ['no list', '{"schema":1,"bootId":"b"}', /attachments/],
    ['a list that is none', '{"schema":1,"bootId":"b","attachments":{"0":1}}', /attachments/],
    ['no list in the oldest schema', '{}', /attachments/],
    ['a boot id too long', `{"schema":1,"bootId":"${'b'.repeat(65)}","attachments":[]}`, /bootId/],
  ]
  it.each(cases)('%s: damaged, and empty', (_name, text, why) => {
    const parsed = parse(text)
    expect(parsed).toMatchObject({ kind: 'damaged', state: { schema: 1, attachments: [] } })
    expect(parsed.kind === 'damaged' && parsed.why).toMatch(why)
  })

  it('is damaged when it is not UTF-8', () => {
    const content = Buffer.from(`{"schema":1,"bootId":"b?","attachments":[]}`)
    content[content.indexOf('?')] = 0xff
    expect(parseState(content)).toMatchObject({ kind: 'damaged', why: 'it is not UTF-8 text' })
  })

  it('keeps the records that can be read beside one that cannot', () => {
    const text = `{"schema":1,"bootId":"b","attachments":[${record},{"id":"x"},${JSON.stringify(makeRecord(2))}]}`
    const parsed = parse(text)
    expect(parsed).toMatchObject({ kind: 'damaged', why: expect.stringContaining('attachments.1') })
    expect(parsed.kind === 'damaged' && parsed.state.attachments).toEqual([makeRecord(1), makeRecord(2)])
  })

  it('counts two records with one id as damage, and keeps the first', () => {
    const twin = JSON.stringify(makeRecord(1, { phase: 'detaching' }))
    const parsed = parse(`{"schema":1,"bootId":"b","attachments":[${record},${twin}]}`)
    expect(parsed).toMatchObject({ kind: 'damaged', state: { attachments: [makeRecord(1)] } })
  })

  it('keeps as many records as it may when there are more', () => {
    const attachments = Array.from({ length: MOST_ATTACHMENTS + 1 }, (_, number) => makeRecord(number))
    const parsed = parse(JSON.stringify({ schema: 1, bootId: 'b', attachments }))
    expect(parsed.kind).toBe('damaged')
    expect(parsed.kind === 'damaged' && parsed.state.attachments).toHaveLength(MOST_ATTACHMENTS)
  })

  it('is refused when a later qusb wrote it, whatever else is in it', () => {
    expect(parse('{"schema":2,"attachments":"of another kind"}')).toEqual({ kind: 'later', schema: 2 })
  })
})

describe('an older schema', () => {
  it('is brought to the present one', () => {
    const parsed = parse(JSON.stringify({ attachments: [makeRecord(1)] }))
    expect(parsed).toEqual({
      kind: 'valid',
      state: { schema: 1, bootId: '', attachments: [makeRecord(1)] },
      migrated: true,
    })
  })

  it('is checked after that like any other', () => {
    expect(parse('{"attachments":[{}]}')).toMatchObject({ kind: 'damaged', state: { attachments: [] } })
  })
})
