import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, expectClean, grants, startBench } from './program.ts'

let bench: Bench

beforeAll(async () => {
  bench = await startBench({
    qubes: [
      { name: 'sys-usb', backend: true },
      {
        name: 'sys-net',
        backend: true,
        proxy: { backend: false },
        profileNoise: 'Welcome to sys-net\u001b[31m\n',
      },
      { name: 'sys-usb-off', backend: true, state: 'halted' },
      { name: 'work' },
      { name: 'bare', proxy: { frontend: false } },
      { name: 'windows', stubdom: true },
      { name: 'asleep', state: 'paused' },
      { name: 'halted', state: 'halted' },
      { name: 'small', vhciPorts: 0 },
    ],
    devices: [
      { backend: 'sys-usb', port: '1-1', kind: 'keyboard', use: { typesInDom0: true } },
      { backend: 'sys-usb', port: '1-2', kind: 'keyboard' },
      { backend: 'sys-usb', port: '1-3', kind: 'thermometer', hidden: true },
      { backend: 'sys-usb', port: '1-4.1', kind: 'webcam' },
      { backend: 'sys-usb', port: '2-1', kind: 'stick', use: { mounted: '/media/stick' } },
      { backend: 'sys-usb', port: '2-2', kind: 'stick', serial: 'SWAP', use: { swap: true } },
      { backend: 'sys-usb', port: '2-3', kind: 'stick', serial: 'HELD', use: { heldBy: 'dm-0' } },
      { backend: 'sys-usb', port: '2-4', kind: 'stick', serial: 'GIVEN', use: { givenTo: 'work' } },
      { backend: 'sys-usb', port: '2-5', kind: 'stick', serial: 'FREE' },
      { backend: 'sys-net', port: '1-1', kind: 'thermometer' },
    ],
  })
})
afterAll(async () => await bench.end())

async function expectRefusal(args: string[], code: number, name: string, message: RegExp): Promise<void> {
  const ran = await bench.qusb(...args, '--json')
  expect(ran.json, ran.stdout).toMatchObject({
    schema: 1,
    error: { code: name, message: expect.stringMatching(message) },
  })
  expect(ran.code).toBe(code)
  expect(grants(bench)).toEqual([])
}

describe('guards', () => {
  it.each([
    ['the keyboard that dom0 types on', '1-1', /typing/],
    ['a hub', '1-4', /hub/],
    ['a hidden device', '1-3', /hides it on purpose/],
    ['a mounted stick', '2-1', /mounted at \/media\/stick/],
    ['a stick with swap', '2-2', /swap/],
    ['a stick under device-mapper', '2-3', /dm-0/],
    ['a stick whose block device is given away', '2-4', /block device/],
  ])('refuse %s', async (_what, port, message) => {
    await expectRefusal(['attach', 'sys-usb', port, 'work'], 6, 'REFUSED', message)
  })

  it('give way to --force', async () => {
    expect(await bench.qusb('attach', 'sys-usb', '1-3', 'work', '--force', '--json')).toMatchObject({
      code: 0,
      json: { changed: true },
    })
    expect(await bench.qusb('detach', 'sys-usb', '1-3')).toMatchObject({ code: 0 })
  })

  it('only warn of a keyboard that dom0 does not use', async () => {
    const { code, json } = await bench.qusb('attach', 'sys-usb', '1-2', 'work', '--json')
    expect(code).toBe(0)
    expect(json.warnings).toContainEqual(expect.objectContaining({ code: 'TYPES' }))
    expect(await bench.qusb('detach', 'sys-usb', '1-2')).toMatchObject({ code: 0 })
  })

  it.each([
    [['attach', 'sys-usb', '2-5', 'dom0', '--force'], 6, 'REFUSED', /dom0/],
    [['attach', 'sys-usb', '2-5', 'sys-usb', '--force'], 6, 'REFUSED', /own USB qube/],
    [['attach', 'sys-usb', '2-5:1.0', 'work'], 2, 'USAGE', /interface/],
    [['attach', 'sys-usb', '2-5', 'work-dm'], 2, 'USAGE', /stub domain/],
    [['attach', 'sys-usb', '2-5', 'uuid:0'], 2, 'USAGE', /cannot be the name/],
    [['attach', 'sys-usb', '2-5'], 2, 'USAGE', /FRONTEND is missing/],
    [['attach'], 2, 'USAGE', /DEVICE is missing/],
    [['detach'], 2, 'USAGE', /say what to detach/],
    [['attach', 'sys-usb', '2-5', 'work', 'more'], 2, 'USAGE', /more/],
    [['list', '--nope'], 2, 'USAGE', /--nope/],
    [['list', 'sys;usb'], 2, 'USAGE', /cannot be the name/],
    [['lisst'], 2, 'USAGE', /no command "lisst"/],
    [['attach', 'sys-usb', '2-5', 'work', '--timeout', 'soon'], 2, 'USAGE', /integer/],
  ])('%j', async (args, code, name, message) => {
    await expectRefusal(args, code, name, message)
  })
})

it('names the command that a mistyped one is most like', async () => {
  const { code, stderr } = await bench.qusb('atach', 'sys-usb', '2-5', 'work')
  expect(code).toBe(2)
  expect(stderr).toBe('qusb: error: there is no command "atach" [USAGE]\n  Did you mean qusb attach?\n')
  const { json } = await bench.qusb('rule', 'lst', '--json')
  expect(json.error).toMatchObject({ code: 'USAGE', hint: 'Did you mean qusb rule list?' })
})

describe('what is not there', () => {
  it.each([
    [['attach', 'sys-usb', '3-1', 'work'], 3, 'NOT_FOUND', /no device "3-1"/],
    [['attach', 'sys-usb', '0951:1666@NOPE', 'work'], 3, 'NOT_FOUND', /not with the serial/],
    [['attach', 'sys-usb:2-5:dead:beef::u080650', 'work'], 3, 'NOT_FOUND', /another device at 2-5/],
    [['attach', 'sys-usb-off', '2-1', 'work'], 7, 'NOT_RUNNING', /sys-usb-off/],
    [['attach', 'no-such', '2-1', 'work'], 3, 'NOT_FOUND', /no qube "no-such"/],
    [['attach', 'sys-usb', '2-5', 'halted'], 7, 'NOT_RUNNING', /halted/],
    [['attach', 'sys-usb', '2-5', 'asleep'], 7, 'NOT_RUNNING', /asleep/],
    [['attach', 'sys-usb', '2-5', 'bare'], 8, 'NO_PROXY', /bare \(frontend\)/],
    [['attach', 'sys-net', '1-1', 'work'], 8, 'NO_PROXY', /sys-net \(backend\)/],
    [['attach', 'sys-usb', '2-5', 'small'], 10, 'ATTACH_FAILED', /no free port/],
  ])('%j', async (args, code, name, message) => {
    await expectRefusal(args, code, name, message)
  })

  it('lists the others when a backend that was named is halted, and tells by the exit code', async () => {
    const { code, json, stdout } = await bench.qusb('list', 'sys-net', 'sys-usb-off', '--json')
    expect(code).toBe(7)
    expect(json.error).toMatchObject({ code: 'NOT_RUNNING' })
    expect(json.devices).toHaveLength(1)
    // The noise of the login profile is nowhere.
    expect(stdout).not.toContain('Welcome')
  })

  it('takes a halted backend that was not named as no error', async () => {
    const { code, json } = await bench.qusb('list', '--json')
    expect(code).toBe(0)
    expect(new Set(json.devices.map((device: { backend: string }) => device.backend))).toEqual(
      new Set(['sys-usb', 'sys-net']),
    )
  })

  it('says NOT_FOUND when there is no backend at all, and takes those of the configuration', async () => {
    const empty = await startBench({
      qubes: [{ name: 'work' }, { name: 'usb-two', backend: true }],
      devices: [],
      qubesd: 'none',
    })
    try {
      expect(await empty.qusb('list', '--json')).toMatchObject({
        code: 3,
        json: { error: { code: 'NOT_FOUND', hint: expect.stringContaining('qvm-start sys-usb') } },
      })
      const config = join(empty.lab.dir, 'dom0/etc/qusb/config.json')
      writeFileSync(config, '{"backends": ["usb-two"]}')
      expect(await empty.qusb('list', '--json')).toMatchObject({ code: 0, json: { devices: [] } })
      writeFileSync(config, '{"backend": ["usb-two"]}')
      expect(await empty.qusb('list', '--json')).toMatchObject({
        code: 2,
        json: { error: { code: 'USAGE' } },
      })
    } finally {
      await empty.end()
    }
  })
})

describe('an HVM with a stub domain', () => {
  it('gets the device through NAME-dm, and gives it back at the backend', async () => {
    const planned = await bench.qusb('attach', 'sys-usb', '2-5', 'windows', '--dry-run', '--json')
    expect(JSON.stringify(planned.json.plan)).toContain('windows-dm')
    const attached = await bench.qusb('attach', 'sys-usb', '2-5', 'windows', '--json')
    expect(attached.code, attached.stdout).toBe(0)
    expect(await bench.device('2-5')).toMatchObject({ attachedTo: 'windows' })
    const detached = await bench.qusb('detach', 'sys-usb', '2-5', 'windows', '--json')
    expect(detached.code, detached.stdout).toBe(0)
    expect(await bench.device('2-5')).toMatchObject({ state: 'free', driver: 'usb' })
  })
})

describe('policy', () => {
  it.each([
    ['sorted before the grant', '30-user.policy', 'qubes.USB +2-5 work sys-usb deny'],
    ['sorted before it, for everything', '30-user.policy', '* * work @anyvm deny'],
    ['sorted after it', '50-user.policy', '# mine\nqubes.USB * @anyvm @anyvm deny'],
  ])('of the user, %s, wins, and is named with its line', async (_where, name, text) => {
    const file = join(bench.lab.dir, 'dom0/etc/qubes/policy.d', name)
    writeFileSync(file, `${text}\n`)
    try {
      const line = text.split('\n').length
      await expectRefusal(
        ['attach', 'sys-usb', '2-5', 'work'],
        6,
        'REFUSED',
        new RegExp(`${name}, line ${line}$`),
      )
    } finally {
      rmSync(file)
    }
  })

  it('of the user for other qubes or ports, and a catch-all sorted later, are no hindrance', async () => {
    const file = join(bench.lab.dir, 'dom0/etc/qubes/policy.d/50-user.policy')
    writeFileSync(
      file,
      'qubes.USB +2-4 work sys-usb deny\nqubes.USB * vault sys-usb deny\n* * @anyvm @anyvm deny\n',
    )
    try {
      expect(await bench.qusb('attach', 'sys-usb', '2-5', 'work')).toMatchObject({ code: 0 })
      expect(await bench.qusb('detach', 'sys-usb', '2-5')).toMatchObject({ code: 0 })
    } finally {
      rmSync(file)
    }
    await expectClean(bench, '2-5', 'work')
  })

  it('with an error anywhere refuses everything, and says where to look', async () => {
    const file = join(bench.lab.dir, 'dom0/etc/qubes/policy.d/90-broken.policy')
    writeFileSync(file, 'this is no policy\n')
    try {
      await expectRefusal(['attach', 'sys-usb', '2-5', 'work'], 6, 'REFUSED', /policy/)
    } finally {
      rmSync(file)
    }
    await expectClean(bench, '2-5', 'work')
  })

  it.runIf(process.getuid?.() !== 0)('that cannot be written is said so', async () => {
    const directory = join(bench.lab.dir, 'dom0/run/qubes/policy.d')
    chmodSync(directory, 0o500)
    try {
      await expectRefusal(['attach', 'sys-usb', '2-5', 'work'], 6, 'REFUSED', /cannot write policy/)
    } finally {
      chmodSync(directory, 0o700)
    }
  })

  it('whose directory is missing is said so, and leaves nothing', async () => {
    const directory = join(bench.lab.dir, 'dom0/run/qubes/policy.d')
    rmSync(directory, { recursive: true })
    try {
      const ran = await bench.qusb('attach', 'sys-usb', '2-5', 'work', '--json')
      expect(ran).toMatchObject({
        code: 6,
        json: { error: { code: 'REFUSED', message: expect.stringMatching(/cannot write policy/) } },
      })
    } finally {
      mkdirSync(directory, { mode: 0o700 })
    }
    await expectClean(bench, '2-5', 'work')
  })
})
