import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isQubeName } from '../../../src/lib/model/names.ts'
import { splitLine } from '../../../src/lib/rules/line-words.ts'
import { DEFAULT_OPTIONS, OPTIONS } from '../../../src/lib/rules/options.ts'
import { parseRules } from '../../../src/lib/rules/parse.ts'
import { formatRule, quoteField, type RuleTerms } from '../../../src/lib/rules/rule.ts'

const FILE = '/etc/qusb/rules.d/50-qusb.rules'
const parse = (text: string) => parseRules(text, FILE)

/** What a rule says, without where it stands. */
function termsOf({ deviceText, device, backend, frontend, action, options }: RuleTerms): RuleTerms {
  return { deviceText, device, backend, frontend, action, options }
}

describe('parseRules', () => {
  it('reads a file as people write it', () => {
    const { rules, problems } = parse(
      [
        '# device             backend    frontend   action  options',
        '1050:0407@0012345    *          vault      allow',
        '',
        '\t0781:5567  sys-usb  work  ask  notify=yes  # the stick',
        '*  sys-usb-dock  untrusted  allow  start=yes retry=5 delay=3s',
        '"0951:1666@A B\\"C\\\\D"  *  @none  deny',
      ].join('\n'),
    )
    expect(problems).toEqual([])
    expect(rules).toMatchObject([
      { line: 2, deviceText: '1050:0407@0012345', backend: null, frontend: 'vault', action: 'allow' },
      { line: 4, backend: 'sys-usb', frontend: 'work', action: 'ask', options: { notify: true } },
      { line: 5, device: null, options: { ...DEFAULT_OPTIONS, start: true, retry: 5, delay: 3 } },
      { line: 6, device: { serial: 'A B"C\\D' }, frontend: null, action: 'deny' },
    ])
    expect(rules[0]).toMatchObject({ file: FILE, source: '1050:0407@0012345    *          vault      allow' })
  })

  it('takes the backend from the device, where that says it', () => {
    const { rules } = parse('sys-usb:2-1 * work allow\nsys-usb:2-1 sys-usb work allow')
    expect(rules).toMatchObject([
      { backend: 'sys-usb', device: { kind: 'port' } },
      { backend: 'sys-usb', device: { kind: 'port' } },
    ])
  })

  it.each([
    ['1050:0407', 10, /ends before its backend/],
    ['1050:0407 * vault', 18, /ends before its action/],
    ['1050:0407 * vault   # allow', 28, /ends before its action/],
    ['nonsense:x * vault allow', 1, /does not name a device/],
    ['2-1:1.0 * vault allow', 1, /interface/],
    ['1050:0407 @anyvm vault allow', 11, /backend qube/],
    ['1050:0407 * -vault allow', 13, /"-vault" cannot be the name of a frontend/],
    ['1050:0407 * work-dm allow', 13, /frontend/],
    ['1050:0407 * dom0 allow', 13, /never attached to dom0/],
    ['1050:0407 sys-usb sys-usb allow', 19, /its own USB qube/],
    ['sys-usb:2-1 * sys-usb allow', 15, /its own USB qube/],
    ['sys-usb:2-1 sys-net work allow', 13, /one of sys-usb, and the backend is sys-net/],
    ['1050:0407 * @none allow', 13, /gets nothing/],
    ['1050:0407 * @none ask', 13, /gets nothing/],
    ['1050:0407 * vault alow', 19, /no action "alow"/],
    ['1050:0407 * vault allow stat=yes', 25, /no option "stat"/],
    ['1050:0407 * vault allow start', 25, /start takes yes or no/],
    ['1050:0407 * vault allow start=maybe', 31, /start takes yes or no/],
    ['1050:0407 * vault allow retry=101', 31, /0 to 100/],
    ['1050:0407 * vault allow retry=-1', 31, /0 to 100/],
    ['1050:0407 * vault allow retry=5s', 31, /0 to 100/],
    ['1050:0407 * vault allow delay=99999s', 31, /in seconds/],
    ['1050:0407 * vault allow retry=1 retry=2', 33, /said twice/],
    ['1050:0407 * vault allow start=yes when-running=yes', 35, /contradict/],
    ['"1050:0407 * vault allow', 1, /not closed/],
    ['"1050:0407"x * vault allow', 12, /follows the closing quote/],
    ['1050:0407@"a b" * vault allow', 11, /inside a word/],
    ['1050:0407 * vau\u202elt allow', 16, /U\+202E/],
    ['1050:0407 * vault allow\r', 24, /U\+000D/],
    ['1050:0407 * vault allow\u0000', 24, /U\+0000/],
    [`${' '.repeat(3000)}x`, 1, /longer than/],
    // Columns count characters, not what they take in UTF-16.
    ['"1050:0407@\u{1f511}" * vault alow', 23, /alow/],
  ])('%j: column %i', (line, column, message) => {
    const { rules, problems } = parse(`# first\n${line}\n`)
    expect(rules).toEqual([])
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatchObject({
      file: FILE,
      line: 2,
      column,
      message: expect.stringMatching(message),
    })
  })

  it('tells of every fault of a line', () => {
    const { problems } = parse('1050:0407 * -y alow z=1')
    expect(problems.map(({ column }) => column)).toEqual([16, 13, 21])
  })

  it('takes a limited number of rules, and tells a limited number of problems', () => {
    expect(parse('* * work allow\n'.repeat(1000)).problems).toEqual([])
    expect(parse('* * work allow\n'.repeat(1001)).problems).toMatchObject([{ line: 1001 }])
    expect(parse('?\n'.repeat(5000)).problems).toHaveLength(50)
  })
})

const qube = fc
  .stringMatching(/^[a-zA-Z][a-zA-Z0-9_.-]{0,30}$/)
  .filter((name) => isQubeName(name) && name !== 'dom0')
const hex4 = fc.stringMatching(/^[0-9a-f]{4}$/)
const serial = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
  .filter((text) => !('message' in splitLine(text.replaceAll('"', ''))))
const deviceText = fc.oneof(
  fc.constant('*'),
  fc.tuple(hex4, hex4).map(([vendor, product]) => `${vendor}:${product}`),
  fc.tuple(hex4, hex4, serial).map(([vendor, product, text]) => `${vendor}:${product}@${text}`),
  fc.stringMatching(/^[1-9]-[1-9](\.[1-9]){0,3}$/),
)
const options = fc
  .record({
    start: fc.boolean(),
    whenRunning: fc.boolean(),
    delay: fc.integer({ min: 0, max: 3600 }),
    retry: fc.integer({ min: 0, max: 100 }),
    notify: fc.boolean(),
  })
  .map((all) => ({ ...all, whenRunning: all.whenRunning && !all.start }))

describe('a rule', () => {
  it('is read back as it was written', () => {
    fc.assert(
      fc.property(
        deviceText,
        fc.option(qube),
        qube,
        fc.constantFrom('allow', 'ask', 'deny'),
        options,
        (device, backend, frontend, action, opts) => {
          fc.pre(backend !== frontend)
          const line = formatRule({
            deviceText: device,
            backend: backend as never,
            frontend: (action === 'deny' ? null : frontend) as never,
            action: action as never,
            options: opts,
          })
          const first = parse(line)
          expect(first.problems).toEqual([])
          const [rule] = first.rules
          if (rule === undefined) throw new Error('no rule')
          expect(rule).toMatchObject({ deviceText: device, backend, action, options: opts })
          expect(termsOf(parse(formatRule(rule)).rules[0] as RuleTerms)).toEqual(termsOf(rule))
        },
      ),
      { numRuns: 500 },
    )
  })

  it('may be any text: it is taken, or complained of where a word stands', () => {
    const word = fc.oneof(
      deviceText.map(quoteField),
      qube,
      fc.constantFrom(
        '*',
        '@none',
        'allow',
        'ask',
        'deny',
        'start=yes',
        'retry=',
        '"',
        '\\',
        '#',
        '\u202e',
        '\t',
      ),
      fc.string({ unit: 'binary', maxLength: 12 }),
    )
    fc.assert(
      fc.property(fc.array(word, { maxLength: 9 }), (words) => {
        const text = words.join(' ')
        const { rules, problems } = parse(text)
        const lines = text.split('\n')
        for (const { line, column } of problems) {
          const length = [...(lines[(line ?? 0) - 1] ?? '')].length
          expect(column).toBeGreaterThanOrEqual(1)
          expect(column).toBeLessThanOrEqual(length + 1)
        }
        for (const rule of rules) {
          expect(lines[rule.line - 1]).toBe(rule.source)
          expect(termsOf(parse(formatRule(rule)).rules[0] as RuleTerms)).toEqual(termsOf(rule))
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('has its fault pointed at', () => {
    const good = ['1050:0407@a', '*', 'vault', 'allow', 'start=yes', 'retry=5']
    fc.assert(
      fc.property(
        fc.nat({ max: good.length - 1 }),
        fc.array(fc.stringMatching(/^[ \t]{1,5}$/), { minLength: good.length, maxLength: good.length }),
        (bad, gaps) => {
          const words = good.with(bad, '=wrong=')
          const line = words.map((text, i) => (gaps[i] ?? '') + text).join('')
          const { problems } = parse(line)
          expect(problems).toMatchObject([{ line: 1, column: line.indexOf('=wrong=') + 1 }])
        },
      ),
    )
  })
})

describe('the table of options', () => {
  it('knows the defaults, and each value it names is taken', () => {
    expect(Object.fromEntries(OPTIONS.map(({ field, default: usual }) => [field, usual]))).toEqual(
      DEFAULT_OPTIONS,
    )
    for (const { name, values } of OPTIONS) {
      const value = values.kind === 'switch' ? 'yes' : String(values.most)
      expect(parse(`* * work allow ${name}=${value}`).problems, name).toEqual([])
    }
  })
})
