import { spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { LabFileText } from '../../src/lab/file/schema.ts'
import { type Bench, type Ran, startBench, until } from './program.ts'

const STICK = '0951:1666@60A44C413C8FB171A97600B1'
const FILE: LabFileText = {
  qubes: [
    { name: 'sys-usb', backend: true },
    { name: 'work' },
    { name: 'vault', denied: ['u03****'] },
    { name: 'untrusted', state: 'halted' },
  ],
  devices: [
    { backend: 'sys-usb', port: '2-1', kind: 'stick' },
    { backend: 'sys-usb', port: '1-2', kind: 'security-key' },
    { backend: 'sys-usb', port: '1-3', kind: 'thermometer' },
  ],
  assignments: [
    { frontend: 'vault', backend: 'sys-usb', device: '0951:1666:60A44C413C8FB171A97600B1:u080650' },
    { frontend: 'work', backend: 'sys-usb', port: '1-4', mode: 'ask-to-attach' },
  ],
}

let bench: Bench
let directory: string
beforeAll(async () => {
  bench = await startBench(FILE)
  directory = join(bench.lab.dir, 'dom0/etc/qusb/rules.d')
})
afterAll(async () => await bench?.end())
beforeEach(() => rmSync(directory, { recursive: true, force: true }))

/** Puts files of rules in place of those that are there. */
function setRules(files: Record<string, string>): void {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { mode: 0o755 })
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content)
}

const rule = async (...words: string[]): Promise<Ran> => await bench.qusb('rule', ...words, '--json')

/** As `rule`, once qubesd answers: on a busy machine it may not in time, and a warning says so. */
async function ruleWithQubesd(...words: string[]): Promise<Ran> {
  let ran = await rule(...words)
  await until('qubesd answers', async () => {
    if (!ran.json.warnings?.some(({ code }: { code: string }) => code === 'QUBESD')) return true
    ran = await rule(...words)
    return false
  })
  return ran
}

const ownFile = () => readFileSync(join(directory, '50-qusb.rules'), 'utf8')
const rulesIn = (text: string) => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))

/** Runs with something on stdin. */
async function withInput(input: string, ...args: string[]): Promise<Ran> {
  const child = spawn(process.execPath, [resolve('bin/qusb.cjs'), ...args], { env: bench.env })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text) => {
    stdout += text
  })
  child.stderr.on('data', (text) => {
    stderr += text
  })
  child.stdin.end(input)
  const code = await new Promise<number | null>((settle) => child.once('close', settle))
  return {
    code,
    signal: null,
    stdout,
    stderr,
    json: args.includes('--json') ? JSON.parse(stdout) : undefined,
  }
}

describe('rule add, list and remove', () => {
  it('writes a rule about what the device is that is plugged in there now', async () => {
    const { code, json } = await rule('add', 'sys-usb', '2-1', 'work')
    expect(code).toBe(0)
    expect(json).toMatchObject({ schema: 1, changed: true, file: join(directory, '50-qusb.rules') })
    expect(json.rules).toMatchObject([
      { device: STICK, backend: 'sys-usb', frontend: 'work', action: 'allow' },
    ])
    expect(rulesIn(ownFile())).toEqual([`${STICK}  sys-usb  work  allow`])
    expect(statSync(directory).mode & 0o7777).toBe(0o2775)
    expect(statSync(join(directory, '50-qusb.rules')).mode & 0o777).toBe(0o664)
    expect(readdirSync(directory)).toEqual(['50-qusb.rules'])

    const again = await rule('add', 'sys-usb', '2-1', 'work')
    expect(again.json).toMatchObject({ changed: false, rules: [], already: 1 })
    expect(again.code).toBe(0)
  })

  it('warns where a device has no serial', async () => {
    const { json } = await rule('add', 'sys-usb:1-3', 'work')
    expect(json.rules).toMatchObject([{ device: '08f7:0002' }])
    expect(json.warnings).toMatchObject([{ code: 'NO_SERIAL' }])
  })

  it('writes any other selector as it is, with its options', async () => {
    const options = ['--start', '--retry', '5', '--delay', '2', '--notify', '--action', 'ask']
    await rule('add', 'class:storage', 'untrusted', ...options)
    await rule('add', 'sys-usb', '2-1', 'work', '--port')
    await rule('add', '*', 'vault', '--backend', 'sys-usb', '--when-running')
    await rule('add', 'name:*yubi key*', 'vault', '--first')
    await rule('add', 'class:input', '--action', 'deny', '--first')
    expect(rulesIn(ownFile())).toEqual([
      'class:input  *  @none  deny',
      '"name:*yubi key*"  *  vault  allow',
      'class:storage  *  untrusted  ask  start=yes  delay=2  retry=5  notify=yes',
      '2-1  sys-usb  work  allow',
      '*  sys-usb  vault  allow  when-running=yes',
    ])
    expect((await rule('list')).json.rules).toHaveLength(5)
  })

  it('keeps a serial as it is, whatever stands in it', async () => {
    const serial = '# a "b\\ c\'; $(reboot) é'
    await bench.lab.plug({ backend: 'sys-usb', port: '2-3', kind: 'stick', serial })
    try {
      const { json } = await rule('add', 'sys-usb', '2-3', 'work')
      expect(json.rules).toMatchObject([{ device: `0951:1666@${serial}` }])
      const text = `"0951:1666@# a \\"b\\\\ c'; $(reboot) é"`
      expect(rulesIn(ownFile())).toEqual([`${text}  sys-usb  work  allow`])
      expect((await ruleWithQubesd('test', 'sys-usb', '2-3')).json).toMatchObject({ outcome: 'attached' })
      expect((await ruleWithQubesd('test', 'sys-usb', '2-1')).json).toMatchObject({ outcome: 'nothing' })

      const list = await withInput('0951:1666', 'rule', 'import', '--from', 'qvd', '--to', 'work', '--json')
      expect(list.json.warnings).toMatchObject([{ code: 'MATCHES_SEVERAL' }])
    } finally {
      await bench.lab.unplug('sys-usb', '2-3')
    }
  })

  it('says which rule will never win', async () => {
    setRules({ '10-mine.rules': '# mine\n* * vault allow' })
    const { json } = await rule('add', '1050:0407', 'work')
    expect(json.warnings).toMatchObject([
      { code: 'NEVER_WINS', message: expect.stringMatching(/10-mine.rules:2/) },
    ])
  })

  it.each([
    [['add', '1050:0407'], 2, /FRONTEND is missing/],
    [['add'], 2, /FRONTEND is missing/],
    [['add', 'sys-usb', '2-1'], 2, /FRONTEND is missing/],
    [['add', '1050:0407', 'dom0'], 2, /never attached to dom0/],
    [['add', '2-1', 'sys-usb', 'work'], 2, /"2-1" cannot be the name of a backend/],
    [['add', 'sys-usb', '2-1', 'sys-usb'], 2, /its own USB qube/],
    [['add', 'class:stroage', 'work'], 2, /no class "stroage"/],
    [['add', 'class:input', 'work', '--action', 'deny'], 2, /for every qube/],
    [['add', 'class:input', 'work', '--port'], 2, /no port/],
    [['add', 'no-such-alias', 'work'], 2, /no alias "no-such-alias"/],
    [['add', 'sys-usb', '9-9', 'work'], 3, /no device/],
    [['add', '1050:0407', 'work', '--start', '--when-running'], 2, /when-running/],
    [['remove', '00000000'], 3, /no rule has the id/],
  ] as const)('refuses %j', async (words, code, message) => {
    const ran = await rule(...words)
    expect(ran.code).toBe(code)
    expect(ran.json.error.message).toMatch(message)
    expect(existsSync(join(directory, '50-qusb.rules'))).toBe(false)
  })

  it('takes out exactly the line that was listed, and leaves the rest as it is', async () => {
    const before = '# mine\n\n1050:0407\t*  vault allow   # the key\n0781:5567 * work ask'
    setRules({ '10-mine.rules': before, '90-last.rules': '* * work deny\n' })
    const { rules } = (await rule('list')).json
    expect(rules.map(({ line }: { line: number }) => line)).toEqual([3, 4, 1])
    const id = rules[0].id

    writeFileSync(join(directory, '10-mine.rules'), before.replace('vault', 'work'))
    expect(await rule('remove', id)).toMatchObject({ code: 3, json: { error: { code: 'NOT_FOUND' } } })
    // Lines that move keep their ids.
    writeFileSync(join(directory, '10-mine.rules'), `# more\n${before}`)
    const removed = await rule('remove', id, rules[2].id)
    expect(removed).toMatchObject({ code: 0, json: { changed: true, rules: [{ line: 4 }, { line: 1 }] } })
    expect(readFileSync(join(directory, '10-mine.rules'), 'utf8')).toBe(
      '# more\n# mine\n\n0781:5567 * work ask',
    )
    expect(readFileSync(join(directory, '90-last.rules'), 'utf8')).toBe('')
  })

  it('loses none of many that are added at once', async () => {
    const ids = Array.from({ length: 12 }, (_, i) => `12${String(i).padStart(2, '0')}:0001`)
    const ran = await Promise.all(ids.map(async (id) => await rule('add', id, 'work')))
    expect(ran.map(({ code }) => code)).toEqual(ids.map(() => 0))
    expect(rulesIn(ownFile()).sort()).toEqual(ids.map((id) => `${id}  *  work  allow`))
  })

  it('take no word from stdin', async () => {
    const ran = await withInput('vault\n', 'rule', 'add', '1050:0407', '--json')
    expect(ran).toMatchObject({ code: 2, json: { error: { message: 'FRONTEND is missing' } } })
    const detach = await withInput('2-1\n', 'detach', 'sys-usb', '--json')
    expect(detach).toMatchObject({ code: 2, json: { error: { message: 'DEVICE is missing' } } })
  })

  it.each([
    ['sys-usb', 'DEVICE and FRONTEND are missing'],
    ['sys-usb work', 'DEVICE is missing'],
    ['sys-usb --action deny', 'DEVICE is missing'],
    ['sys-usb @none --action deny', 'DEVICE is missing'],
    ['sys-usb 2-1', 'FRONTEND is missing'],
  ])('add takes no qube for a device: %s', async (words, missing) => {
    const { code, json } = await rule('add', ...words.split(' '))
    expect(code).toBe(2)
    expect(json.error).toMatchObject({ code: 'USAGE', message: expect.stringContaining(missing) })
    expect(existsSync(join(directory, '50-qusb.rules'))).toBe(false)
  })

  it('are told when the name that they are about is removed', async () => {
    await bench.qusb('alias', 'add', 'lone-key', '1050:0407')
    setRules({ 'a.rules': '# mine\nlone-key * vault allow\nclass:storage * work allow\n' })
    const { code, json, stderr } = await bench.qusb('alias', 'remove', 'lone-key', '--json')
    expect(code).toBe(0)
    const file = join(directory, 'a.rules')
    expect(json).toMatchObject({
      changed: true,
      warnings: [{ code: 'RULE', message: expect.stringContaining(`${file}:2 is about "lone-key"`) }],
    })
    expect(json.warnings[0].hint).toContain(`line 2 out of ${file}`)
    expect(stderr).toContain(`${file}:2`)
    // As the warning says.
    expect((await rule('list')).json.error.message).toContain('none of them counts')
  })

  it('are lines for a script, and a table for a person', async () => {
    setRules({ 'a.rules': '1050:0407 * vault allow retry=2\n* sys-usb @none deny\n' })
    const { stdout } = await bench.qusb('rule', 'list')
    expect(stdout.split('\n').map((line) => line.split('\t').slice(1, 6))).toEqual([
      ['1050:0407', '*', 'vault', 'allow', 'retry=2'],
      ['*', 'sys-usb', '@none', 'deny', '-'],
      [],
    ])
  })
})

describe('on a terminal', () => {
  it('rule add asks for what it is not told, and list draws a table', async () => {
    const adding = bench.onTerminal('rule', 'add', 'class:storage')
    await until('the question', () => adding.screen().includes('To which qube?'))
    adding.type('\r')
    expect(await adding.code, adding.screen()).toBe(0)
    expect(rulesIn(ownFile())).toEqual([
      expect.stringMatching(/^class:storage {2}\* {2}(sys-usb|vault|work) {2}allow$/),
    ])
    const listing = bench.onTerminal('rule', 'list')
    expect(await listing.code).toBe(0)
    expect(listing.screen()).toMatch(/ID +DEVICE +BACKEND +FRONTEND +ACTION/)
    expect(listing.screen()).toMatch(/[0-9a-f]{8} +class:storage +\*/)
  })

  it('rule add asks which device of the qube that was named', async () => {
    const adding = bench.onTerminal('rule', 'add', 'sys-usb')
    await until('the list of devices', () => adding.screen().includes('DataTraveler'))
    adding.type('\r')
    await until('the question', () => adding.screen().includes('To which qube?'))
    adding.type('\r')
    expect(await adding.code, adding.screen()).toBe(0)
    expect(rulesIn(ownFile())).toHaveLength(1)
  })

  it('explain shows the rule that wins, and whole reasons', async () => {
    setRules({ 'a.rules': 'class:camera * work allow\n* sys-usb work allow\n' })
    const explaining = bench.onTerminal('explain', 'sys-usb', '2-1')
    expect(await explaining.code).toBe(0)
    expect(explaining.screen()).toMatch(/- a.rules:1: class:camera .*\s+it is storage, not camera/)
    expect(explaining.screen()).toMatch(/> a.rules:2: .*\s+it is the first that is about this device/)
  })
})

describe('rules that are broken', () => {
  const broken = {
    '10-good.rules': '* * work allow\n',
    '20-bad.rules': '\n1050:0407 * vault alow\n* * work allow x=1\n',
  }

  it('are told by file, line and column', async () => {
    setRules(broken)
    const { code, json } = await ruleWithQubesd('check')
    expect(code).toBe(2)
    const file = join(directory, '20-bad.rules')
    expect(json).toMatchObject({
      problems: [
        { file, line: 2, column: 19 },
        { file, line: 3, column: 16 },
      ],
      error: { code: 'USAGE' },
    })
    const { stdout, stderr } = await bench.qusb('rule', 'check')
    expect(stdout).toContain(`${file}:2:19: there is no action "alow"`)
    expect(stderr).toContain('none of them counts')
  })

  it.each([
    ['rule', 'list'],
    ['rule', 'add', '1050:0407', 'work'],
    ['rule', 'test', 'sys-usb', '2-1'],
    ['explain', 'sys-usb', '2-1'],
    ['rule', 'suggest'],
    ['rule', 'export'],
    ['rule', 'import', '--from', 'qubes'],
  ])('stop %s %s', async (...words) => {
    setRules(broken)
    const { code, json } = await bench.qusb(...words, '--json')
    expect(code).toBe(2)
    expect(json.error.message).toMatch(/none of them counts: .*20-bad.rules:2:19: .*and 1 more/)
    expect(existsSync(join(directory, '50-qusb.rules'))).toBe(false)
  })

  it('are those that everybody could have written', async () => {
    setRules({ 'a.rules': '* * work allow\n' })
    chmodSync(directory, 0o777)
    expect(await rule('list')).toMatchObject({
      code: 2,
      json: { error: { message: expect.stringMatching(/everybody/) } },
    })
  })
})

describe('rule test and explain', () => {
  it('tell what would happen, and why', async () => {
    setRules({ 'a.rules': `class:camera * work allow\n${STICK} sys-usb work ask\n* * vault allow\n` })
    const { json } = await ruleWithQubesd('test', 'sys-usb', '2-1')
    expect(json).toMatchObject({
      device: { plugged: true, port: '2-1', serial: '60A44C413C8FB171A97600B1' },
      action: 'ask',
      frontend: 'work',
      outcome: 'asked',
      notes: [{ code: 'ASSIGNED', message: expect.stringMatching(/vault \(auto-attach\)/) }],
    })
    expect(
      json.considered.map(({ outcome, why }: { outcome: string; why: string }) => [outcome, why]),
    ).toEqual([
      ['no-match', 'it is storage, not camera'],
      ['wins', 'it is the first that is about this device'],
      ['beaten', 'it is about this device too, and a.rules:2 comes first'],
    ])
    const { stdout } = await bench.qusb('explain', 'sys-usb', '2-1')
    expect(stdout).toMatch(/would be attached to work if you say so, asked by a.rules:2/)
    expect(stdout).toMatch(/it is storage, not camera/)
  })

  it.each([
    ['* * work allow', 'attached', undefined],
    ['* * work deny', 'denied', undefined],
    ['3-1 * work allow', 'nothing', undefined],
    ['* * untrusted allow', 'waits', /untrusted does not run/],
    ['* * untrusted allow start=yes', 'attached', /would be started/],
    ['* * vault allow', 'refused', /denied devices with the interface u03/],
    ['* * nobody allow', 'refused', /no qube "nobody"/],
    ['* * untrusted allow when-running=yes\n* * work allow', 'attached', undefined],
  ])('%s: %s', async (rules, outcome, note) => {
    setRules({ 'a.rules': `${rules}\n` })
    const { code, json } = await ruleWithQubesd('test', 'sys-usb', '1-2')
    expect(code).toBe(0)
    expect(json.outcome).toBe(outcome)
    if (note === undefined) expect(json.notes).toEqual([])
    else expect(json.notes[0].message).toMatch(note)
  })

  it('take a device that is not plugged in', async () => {
    setRules({ 'a.rules': 'class:input * @none deny\n1234:5678@X * vault allow\n' })
    const { json } = await ruleWithQubesd('test', '1234:5678@X')
    // Nobody knows what it is, so it may be what is denied.
    expect(json).toMatchObject({ device: { plugged: false, port: null }, outcome: 'denied' })
    const full = await ruleWithQubesd('test', 'sys-usb:2-7:1234:5678:X:u080650')
    expect(full.json).toMatchObject({
      device: { plugged: false, port: '2-7' },
      outcome: 'attached',
      frontend: 'vault',
    })
    expect(await ruleWithQubesd('test', 'sys-usb', '2-7')).toMatchObject({ code: 3 })
  })

  it('heed the policy of Qubes', async () => {
    setRules({ 'a.rules': '* * work allow\n' })
    const policy = join(bench.lab.dir, 'dom0/etc/qubes/policy.d/40-user.policy')
    writeFileSync(policy, 'qubes.USB +2-1 work sys-usb deny\n')
    try {
      const { json } = await ruleWithQubesd('test', 'sys-usb', '2-1')
      expect(json).toMatchObject({
        outcome: 'refused',
        notes: [{ message: expect.stringMatching(/40-user.policy:1/) }, {}],
      })
    } finally {
      rmSync(policy)
    }
  })
})

describe('rule check', () => {
  it('is content with rules that contradict nothing', async () => {
    setRules({ 'a.rules': `${STICK} sys-usb vault allow\n1050:0407 * work allow\n` })
    expect(await ruleWithQubesd('check')).toMatchObject({ code: 0, json: { findings: [], problems: [] } })
    expect((await bench.qusb('rule', 'check')).stdout).toBe('2 rules, and nothing is wrong with them.\n')
  })

  it('names what contradicts qubesd, what never wins, and who is not there', async () => {
    const rules = [
      `${STICK} * work allow`,
      'class:input * vault allow',
      '1050:0407 sys-usb vault allow',
      '08f7:0002 * wrok allow',
      '08f7:0002@7 * work allow',
      '1-4 sys-usb untrusted allow',
      '2-9 * work deny retry=3',
    ]
    setRules({ 'a.rules': `${rules.join('\n')}\n` })
    const { code, json } = await ruleWithQubesd('check')
    expect(code).toBe(0)
    const found = json.findings.map(
      ({ code, rule, message }: { code: string; rule: { line: number }; message: string }) => [
        rule.line,
        code,
        message,
      ],
    )
    expect(found).toHaveLength(7)
    expect(found).toEqual(
      expect.arrayContaining([
        [
          1,
          'assignment',
          expect.stringMatching(/gives to work what qubesd has assigned to vault \(auto-attach\)/),
        ],
        [2, 'denied', expect.stringMatching(/vault is denied devices with the interface u03\*\*\*\*/)],
        [4, 'no-qube', expect.stringMatching(/no qube "wrok"/)],
        [5, 'never-wins', expect.stringMatching(/a.rules:4 comes first/)],
        [6, 'assignment', expect.stringMatching(/assigned to work \(ask-to-attach\)/)],
        [7, 'no-effect', expect.stringMatching(/retry=3 says nothing/)],
        [7, 'no-effect', expect.stringMatching(/to every qube, not to work alone/)],
      ]),
    )
    // The key is denied by what it is, which only a look at it tells.
    setRules({ 'a.rules': '1050:0407 sys-usb vault allow\n' })
    expect((await ruleWithQubesd('check')).json.findings).toMatchObject([
      { code: 'denied', message: expect.stringMatching(/sys-usb:1-2 .* has one/) },
    ])
  })
})

describe('rule suggest', () => {
  it('prints rules for what is attached, which do what is attached', async () => {
    expect((await bench.qusb('rule', 'suggest')).stdout).toMatch(/^# Nothing is attached/)
    expect(await bench.qusb('attach', 'sys-usb', '2-1', 'work')).toMatchObject({ code: 0 })
    try {
      const { stdout } = await bench.qusb('rule', 'suggest')
      expect(rulesIn(stdout)).toEqual([`${STICK}  sys-usb  work  allow`])
      setRules({ '60-pasted.rules': stdout })
      expect((await ruleWithQubesd('test', 'sys-usb', '2-1')).json).toMatchObject({
        outcome: 'attached',
        frontend: 'work',
      })
      const again = await bench.qusb('rule', 'suggest')
      expect(rulesIn(again.stdout)).toEqual([])
      expect(again.stdout).toContain('60-pasted.rules:2 says so already')
    } finally {
      await bench.qusb('detach', '--all')
    }
  })
})

describe('rule import and export', () => {
  it("takes QVD's share list, and tells what it cannot take and what is not there", async () => {
    const list = 'client.usb.share_list = 0951:1666, 1234:5678@12345678 ,zzz,1050:0407@\n'
    const { code, json } = await withInput(list, 'rule', 'import', '--from', 'qvd', '--to', 'work', '--json')
    expect(code).toBe(0)
    expect(rulesIn(ownFile())).toEqual(['0951:1666  *  work  allow', '1234:5678@12345678  *  work  allow'])
    expect(json.leftOut.map(({ what }: { what: string }) => what)).toEqual(['zzz', '1050:0407@'])
    expect(json.warnings).toMatchObject([
      { code: 'MATCHES_NONE', message: expect.stringMatching(/12345678/) },
    ])
  })

  it('takes the assignments of qubesd', async () => {
    const dry = await rule('import', '--from', 'qubes', '--dry-run')
    expect(dry.json).toMatchObject({
      changed: false,
      rules: [],
      plan: [{ frontend: 'work' }, { device: STICK }],
    })
    expect(existsSync(join(directory, '50-qusb.rules'))).toBe(false)
    const { json } = await rule('import', '--from', 'qubes')
    expect(rulesIn(ownFile()).sort()).toEqual(
      [`${STICK}  sys-usb  vault  allow`, '1-4  sys-usb  work  ask'].sort(),
    )
    expect(json.warnings).toMatchObject([{ code: 'ASSIGNED' }])
    expect((await ruleWithQubesd('check')).json.findings).toEqual([])
  })

  it('takes the allow rules of USBGuard', async () => {
    const text = [
      'allow id 1d6b:0002 serial "0000:00:14.0" name "xHCI" with-interface 09:00:00',
      'allow id 1050:0407 serial "00 1" name "YubiKey" via-port "1-2" with-interface { 03:01:01 0b:00:00 }',
      'reject with-interface all-of { 08:*:* 03:00:* }',
    ].join('\n')
    const { json } = await withInput(
      text,
      'rule',
      'import',
      '--from',
      'usbguard',
      '--to',
      'vault',
      '--action',
      'ask',
      '--json',
    )
    expect(rulesIn(ownFile())).toEqual(['"1050:0407@00 1"  *  vault  ask'])
    expect(json.leftOut).toHaveLength(2)
  })

  it.each([
    [['--from', 'qvd'], /--to/],
    [['--from', 'qvd', '--to', 'work', '/no/such/file'], /cannot read/],
    [['--from', 'qubes', '--to', 'work'], /one word too many/],
    [['--from', 'elsewhere'], /--from/],
  ] as const)('refuses %j', async (words, message) => {
    const { code, json } = await rule('import', ...words)
    expect(code).toBe(2)
    expect(json.error.message).toMatch(message)
  })

  it('exports what an assignment can say, as commands', async () => {
    setRules({
      'a.rules': [
        `${STICK} * work ask retry=2`,
        '1-4 sys-usb vault allow',
        'class:storage * work allow',
        '1234:5678 * work allow',
      ].join('\n'),
    })
    const { json } = await rule('export', '--to', 'qubes')
    expect(json.commands.map(({ words }: { words: string[] }) => words.join(' '))).toEqual([
      'qvm-usb assign --ask work sys-usb:*:0951:1666:60A44C413C8FB171A97600B1:u080650',
      'qvm-usb assign vault sys-usb:1-4:*',
    ])
    expect(json.leftOut).toHaveLength(2)
    const { stdout } = await bench.qusb('rule', 'export')
    expect(stdout).toContain(
      "\nqvm-usb assign --ask work 'sys-usb:*:0951:1666:60A44C413C8FB171A97600B1:u080650'\n",
    )
    expect(stdout).toContain('; without retry=2')
  })
})
