import { chmodSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, startBench } from './program.ts'

let bench: Bench
let file: string

beforeAll(async () => {
  bench = await startBench({
    qubes: [
      { name: 'sys-usb', backend: true },
      { name: 'work' },
      { name: 'vault' },
      { name: 'resting', state: 'halted' },
    ],
    devices: [
      { backend: 'sys-usb', port: '2-1', kind: 'stick', serial: 'STICK-1' },
      { backend: 'sys-usb', port: '1-2', kind: 'security-key', serial: '0012345' },
      { backend: 'sys-usb', port: '1-4.1', kind: 'webcam' },
      { backend: 'sys-usb', port: '1-4.2', kind: 'webcam' },
      { backend: 'sys-usb', port: '1-5', kind: 'serial', serial: 'x;reboot' },
      { backend: 'sys-usb', port: '1-6', kind: 'serial', serial: 'x$(id)' },
    ],
  })
  file = join(bench.lab.dir, 'dom0/etc/qusb/aliases.json')
})
afterAll(async () => await bench?.end())
afterEach(() => rmSync(file, { force: true }))

/** Where an attach of these words would put which port. */
async function planned(...words: string[]): Promise<string> {
  const { json } = await bench.qusb('attach', ...words, '--dry-run', '--json')
  return json.error === undefined
    ? `${json.attachment.port} ${json.attachment.frontend}`
    : `${json.error.code}: ${json.error.message}`
}

const add = async (...words: string[]) => await bench.qusb('alias', 'add', ...words, '--json')
const selectorsOf = async (...words: string[]): Promise<string[]> => {
  const { json } = await bench.qusb('attach', ...words, '--dry-run', '--json')
  return json.error.candidates.map((each: { selector: string }) => each.selector)
}

describe('a device by what it is called or can do', () => {
  it.each([
    [['name:*yubikey*', 'work'], '1-2 work'],
    [['name:YUBICO ?ubiKey*', 'work'], '1-2 work'],
    [['sys-usb', 'name:kingston*', 'work'], '2-1 work'],
    [['class:storage', 'vault'], '2-1 vault'],
    [['class:security-key', 'vault'], '1-2 vault'],
    [['sys-usb', 'class:keyboard', 'vault'], '1-2 vault'],
    [['class:camera', 'vault'], 'AMBIGUOUS: "class:camera" names 2 devices of sys-usb'],
    [['class:printer', 'vault'], 'NOT_FOUND: sys-usb has no device "class:printer"'],
    [['class:hub', 'vault'], expect.stringContaining('REFUSED: sys-usb:1-4')],
    [['name:*nothing*', 'vault'], 'NOT_FOUND: sys-usb has no device "name:*nothing*"'],
    [['class:nonsense', 'vault'], 'USAGE: there is no class "nonsense" of devices'],
  ])('%j: %s', async (words, expected) => {
    // A dry run tells a guard's refusal as a step of its plan.
    if (words[0] === 'class:hub') {
      const { json } = await bench.qusb('attach', ...words, '--json')
      expect(`${json.error.code}: ${json.error.message}`).toEqual(expected)
    } else expect(await planned(...words)).toEqual(expected)
  })
})

describe('what qvm-usb writes', () => {
  it('is checked, not believed', async () => {
    const { interfaces } = await bench.device('2-1')
    const codes = interfaces.map((code: string) => `u${code}`).join('')
    expect(await planned(`sys-usb:2-1:0951:1666:STICK-1:${codes}`, 'work')).toBe('2-1 work')
    for (const wrong of [
      `2-1:0951:1666:STICK-2:${codes}`,
      `2-1:0951:1667:STICK-1:${codes}`,
      `2-1:0951:1666::${codes}`,
      `2-1:0951:1666:STICK-1:${codes}u030101`,
      `1-2:0951:1666:STICK-1:${codes}`,
    ]) {
      expect(await planned(`sys-usb:${wrong}`, 'work')).toMatch(/^NOT_FOUND: sys-usb has another device at /)
    }
  })
})

describe('an ambiguous selector', () => {
  it('lists the shortest selector that names each alone, and each works', async () => {
    expect(await selectorsOf('name:*', 'work')).toEqual([
      '1050:0407',
      'sys-usb:1-4.1',
      'sys-usb:1-4.2',
      'sys-usb:1-5',
      'sys-usb:1-6',
      '0951:1666',
    ])
    await add('cam', 'sys-usb', '1-4.2')
    await add('red', '1050:0407')
    const selectors = await selectorsOf('name:*', 'work')
    expect(selectors).toEqual(['red', 'sys-usb:1-4.1', 'cam', 'sys-usb:1-5', 'sys-usb:1-6', '0951:1666'])
    for (const [i, port] of ['1-2', '1-4.1', '1-4.2', '1-5', '1-6', '2-1'].entries()) {
      expect(await planned(selectors[i] ?? '', 'work')).toBe(`${port} work`)
    }
  })

  it('never has one that a shell would run', async () => {
    for (const selector of await selectorsOf('class:serial', 'work'))
      expect(selector).toMatch(/^[a-z0-9:.-]+$/)
  })
})

describe('an alias', () => {
  it('follows a device with a serial to any port, and is shown in every list', async () => {
    const added = await add('red-key', 'sys-usb', '1-2')
    expect(added).toMatchObject({
      code: 0,
      json: { changed: true, device: { vendorId: '1050', serial: '0012345', pin: null }, warnings: [] },
    })
    expect(statSync(file).mode & 0o777).toBe(0o664)
    expect(await add('red-key', '1050:0407')).toMatchObject({ code: 0, json: { changed: false } })

    await bench.lab.unplug('sys-usb', '1-2')
    expect(await planned('red-key', 'vault')).toBe(
      'NOT_FOUND: sys-usb has no device "red-key": that is 1050:0407@0012345',
    )
    await bench.lab.plug({ backend: 'sys-usb', port: '1-7', kind: 'security-key', serial: 'another' })
    expect(await planned('red-key', 'vault')).toMatch(/^NOT_FOUND/)
    await bench.lab.unplug('sys-usb', '1-7')
    await bench.lab.plug({ backend: 'sys-usb', port: '1-8', kind: 'security-key', serial: '0012345' })
    expect(await planned('red-key', 'vault')).toBe('1-8 vault')
    expect(await planned('sys-usb', 'red-key', 'vault')).toBe('1-8 vault')

    expect(await bench.device('1-8')).toMatchObject({ aliases: ['red-key'] })
    expect(await bench.device('2-1')).toMatchObject({ aliases: [] })
    expect((await bench.qusb('list', '--tree')).stdout).toContain('red-key = security-key: Yubico')
    expect((await bench.qusb('info', 'red-key')).stdout).toMatch(/alias +red-key/)
    expect((await bench.qusb('info', 'red-key', '--json')).json.device).toMatchObject({
      port: '1-8',
      aliases: ['red-key'],
    })
    const listed = await bench.qusb('alias', 'list')
    expect(listed.stdout).toBe('red-key\t1050:0407\t0012345\t-\tYubico YubiKey OTP+FIDO\n')
    // What scripts read has no more fields than it had.
    for (const line of (await bench.qusb('list')).stdout.trimEnd().split('\n')) {
      expect(line.split('\t')).toHaveLength(8)
    }

    expect(await bench.qusb('attach', 'red-key', 'vault')).toMatchObject({ code: 0 })
    expect(await bench.qusb('detach', 'red-key')).toMatchObject({ code: 0 })
    expect(await bench.device('1-8')).toMatchObject({ state: 'free' })
    await bench.lab.unplug('sys-usb', '1-8')
    await bench.lab.plug({ backend: 'sys-usb', port: '1-2', kind: 'security-key', serial: '0012345' })

    const removed = await bench.qusb('alias', 'remove', 'red-key', '--json')
    expect(removed).toMatchObject({ code: 0, json: { changed: true, alias: { name: 'red-key' } } })
    const again = await bench.qusb('alias', 'remove', 'red-key', '--json')
    expect(again).toMatchObject({ code: 0, json: { changed: false, alias: null } })
    expect(await planned('red-key', 'vault')).toBe('NOT_FOUND: "red-key" is neither an alias nor a qube')
    expect(await planned('sys-usb', 'red-key', 'vault')).toMatch(/^NOT_FOUND: there is no alias "red-key"/)
  })

  it('of a device without a serial is pinned to where it is plugged, and says so', async () => {
    const added = await add('cam', 'sys-usb', '1-4.1')
    expect(added.json).toMatchObject({
      device: {
        serial: null,
        pin: { backend: 'sys-usb', controller: '0000:00:14.0', bus: 'usb2', path: '4.1' },
      },
      warnings: [{ code: 'PINNED', message: expect.stringContaining('usb2 port 4.1') }],
    })
    expect(await planned('cam', 'work')).toBe('1-4.1 work')
    await bench.lab.unplug('sys-usb', '1-4.1')
    // Its twin in another port has not become it.
    expect(await planned('cam', 'work')).toMatch(/^NOT_FOUND/)
    await bench.lab.plug({ backend: 'sys-usb', port: '1-4.1', kind: 'webcam' })
    expect(await planned('cam', 'work')).toBe('1-4.1 work')
  })

  it('may be pinned all the same, and says where two have one serial', async () => {
    await bench.lab.plug({ backend: 'sys-usb', port: '2-2', kind: 'stick', serial: 'STICK-1' })
    const both = await add('stick', 'sys-usb', '2-1')
    expect(both.json.warnings).toMatchObject([
      { code: 'ALIKE', message: expect.stringContaining('sys-usb:2-2') },
    ])
    expect(await planned('stick', 'work')).toMatch(/^AMBIGUOUS/)
    await bench.qusb('alias', 'remove', 'stick')
    expect(await add('stick', 'sys-usb', '2-1', '--pin')).toMatchObject({ code: 0, json: { warnings: [] } })
    expect(await planned('stick', 'work')).toBe('2-1 work')
    await bench.lab.unplug('sys-usb', '2-2')
  })

  it('may mean several devices, one at a time', async () => {
    await add('board', 'sys-usb', '1-5')
    expect(await add('board', 'sys-usb', '2-1')).toMatchObject({
      code: 5,
      json: { error: { code: 'CONFLICT' } },
    })
    const also = await add('board', 'sys-usb', '2-1', '--also')
    expect(also.json.alias.devices).toHaveLength(2)
    expect(await planned('board', 'work')).toMatch(/^AMBIGUOUS: "board" names 2 devices/)
    await bench.lab.unplug('sys-usb', '1-5')
    expect(await planned('board', 'work')).toBe('2-1 work')
    await bench.lab.plug({ backend: 'sys-usb', port: '1-5', kind: 'serial', serial: 'x;reboot' })
  })

  it.each([
    ['work', 'USAGE', /is the name of a qube/],
    ['resting', 'USAGE', /is the name of a qube/],
    ['dom0', 'USAGE', /is the name of a qube/],
    ['Red', 'USAGE', /cannot be an alias/],
    ['2-1', 'USAGE', /cannot be an alias/],
    ['../x', 'USAGE', /cannot be an alias/],
  ])('may not be %s', async (name, code, message) => {
    const { json } = await add(name, 'sys-usb', '2-1')
    expect(json.error).toMatchObject({ code, message: expect.stringMatching(message) })
  })

  it('that later is a qube too is ambiguous where it could be either', async () => {
    await add('stick', 'sys-usb', '2-1')
    const named = JSON.parse(readFileSync(file, 'utf8'))
    for (const alias of named.aliases) alias.name = 'vault'
    writeFileSync(file, JSON.stringify(named))
    const either = await bench.qusb('detach', 'vault', '--json')
    expect(either).toMatchObject({ code: 4, json: { error: { code: 'AMBIGUOUS' } } })
    expect(either.json.error.candidates).toHaveLength(2)
    expect(await planned('vault', 'work')).toMatch(/^AMBIGUOUS/)
    expect(await planned('sys-usb', 'vault', 'work')).toBe('2-1 work')
    expect(await planned('sys-usb', '2-1', 'vault')).toBe('2-1 vault')
    expect((await bench.qusb('detach', 'vault', '2-1', '--json')).json.error.code).toBe('NOT_FOUND')
    expect((await bench.qusb('alias', 'list')).stderr).toContain('there is a qube of that name')
  })

  it('is added by forty at once, and none is lost', async () => {
    const names = Array.from({ length: 40 }, (_, i) => `name-${i}`)
    const ran = await Promise.all(names.map(async (name) => await add(name, 'sys-usb', '2-1')))
    for (const { code, stderr } of ran) expect(code, stderr).toBe(0)
    const { json } = await bench.qusb('alias', 'list', '--json')
    expect(json.aliases.map((alias: { name: string }) => alias.name).sort()).toEqual(names.sort())
  })
})

describe('a file of aliases that cannot be used', () => {
  const trusted = { schema: 1, aliases: [] }
  it.each<[string, () => void, RegExp]>([
    ['is not JSON', () => writeFileSync(file, '{'), /not JSON/],
    ['is of another shape', () => writeFileSync(file, '{"schema":1,"aliases":[{"name":"A"}]}'), /not valid/],
    ['is a later one', () => writeFileSync(file, '{"schema":2}'), /later qusb/],
    ['is too large', () => writeFileSync(file, ' '.repeat(300_000)), /larger than/],
    [
      'may be written by everybody',
      () => {
        writeFileSync(file, JSON.stringify(trusted))
        chmodSync(file, 0o666)
      },
      /written by everybody/,
    ],
    ['is a link', () => symlinkSync('/etc/passwd', file), /symbolic link/],
  ])('%s: no alias is known, and nothing else is held up', async (_, spoil, message) => {
    spoil()
    const before = statSync(file).size
    const error = { code: 'STORE', message: expect.stringMatching(message) }
    expect((await bench.qusb('attach', 'red-key', 'work', '--json')).json).toMatchObject({ error })
    expect(await add('red-key', 'sys-usb', '2-1')).toMatchObject({ code: 11, json: { error } })
    expect(statSync(file).size).toBe(before)
    expect(await planned('sys-usb', '2-1', 'work')).toBe('2-1 work')
    expect(await bench.qusb('detach', 'sys-usb', '2-1')).toMatchObject({ code: 0 })
    const { code, json } = await bench.qusb('list', '--json')
    expect(code).toBe(0)
    expect(json.devices).toHaveLength(6)
    expect(json.warnings).toMatchObject([error])
  })
})
