import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { LabFileText } from '../../src/lab/file/schema.ts'
import { FILE, type Management, startManagement } from './management-lab.ts'
import { type Bench, type Ran, until } from './program.ts'

let bench: Bench
let management: Management
let site: string

const start = (...args: string[]) => management.start(...args)
/** Runs as in the management qube. */
const inMgmt = async (...args: string[]): Promise<Ran> => await management.run(...args)
const allowAllBut = (...calls: string[]): void => management.allowAllBut(...calls)

async function open(file: LabFileText): Promise<void> {
  management = await startManagement(file)
  bench = management.bench
  site = management.site
}

describe.each(['4.3', '4.2'] as const)('from a management qube, qubesd %s', (qubesd) => {
  beforeAll(async () => await open({ ...FILE, qubesd }))
  afterAll(async () => await bench?.end())

  it('lists what there is, of the qubes that policy shows it', async () => {
    const { code, stderr, json } = await inMgmt('list', '--json')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(json.warnings).toEqual([])
    expect(json.devices).toMatchObject([
      { backend: 'sys-usb', port: '1-2', state: 'free', attachedTo: null },
      { backend: 'sys-usb', port: '2-1', state: 'free', attachedTo: null },
    ])
  })

  it("doctor looks at what is there, and at nothing that is dom0's", async () => {
    const { code, json } = await inMgmt('doctor', '--json')
    expect(json.checks.filter((each: { state: string }) => each.state !== 'ok')).toEqual([])
    expect(code).toBe(0)
    const ids = json.checks.map(({ id }: { id: string }) => id)
    expect(ids).toEqual(
      expect.arrayContaining(['qrexec-client-vm', 'qubesd', 'backends', 'usb-proxy', 'stuck-devices']),
    )
    for (const id of [
      'qrexec-client',
      'group',
      'policy-directory',
      'policy-files',
      'deny-rules',
      'vhci-ports',
      'hints',
      'grants',
      'state-files',
    ]) {
      expect(ids).not.toContain(id)
    }
    const named = await inMgmt('doctor', 'sys-usb', 'work', 'secret', '--json')
    expect(named.code).toBe(3)
    const answers = named.json.checks.find(({ id }: { id: string }) => id === 'answers')
    expect(answers.findings).toMatchObject([{ qube: 'secret', code: 'NOT_FOUND' }])
    expect(answers.findings[0].message).toContain('policy does not let this one list it')
    expect((await inMgmt('doctor', 'sys-usb', 'work')).stdout).toMatch(
      /qubes answer +ok +sys-usb; work: there,/,
    )
  })

  it('attaches and detaches by qubesd, again and again, with no door of dom0', async () => {
    for (const via of [[], ['--via', 'qrexec']]) {
      const attached = await inMgmt('attach', 'sys-usb', '2-1', 'work', '--json', ...via)
      expect(attached).toMatchObject({ code: 0, json: { changed: true, attachment: { frontend: 'work' } } })
      expect((await bench.device('2-1')).attachedTo).toBe('work')
      expect((await inMgmt('attach', 'sys-usb', '2-1', 'work', '--json')).json.changed).toBe(false)
      expect((await inMgmt('list', '--json')).json.devices[1]).toMatchObject({
        attachedTo: 'work',
        drift: null,
        since: expect.any(String),
      })
      expect(await inMgmt('detach', 'sys-usb', '2-1', '--json')).toMatchObject({
        code: 0,
        json: { changed: true, warnings: [] },
      })
      expect(await bench.device('2-1')).toMatchObject({ state: 'free', driver: 'usb' })
    }
    expect((await inMgmt('history', '--json')).json.events).toMatchObject([
      { what: 'attached' },
      { what: 'detached' },
      { what: 'attached' },
      { what: 'detached' },
    ])
  })

  it('takes what dom0 has attached, moves it, and starts a frontend for it', async () => {
    expect((await bench.qusb('attach', 'sys-usb', '1-2', 'work')).code).toBe(0)
    expect((await inMgmt('attach', 'sys-usb', '1-2', 'vault')).code).toBe(7)
    expect(await inMgmt('move', 'sys-usb', '1-2', 'vault', '--start', '--json')).toMatchObject({ code: 0 })
    expect((await bench.device('1-2')).attachedTo).toBe('vault')
    expect((await inMgmt('detach', '--from', 'vault')).code).toBe(0)
    expect((await bench.device('1-2')).attachedTo).toBe(null)
  })

  it('watches by the events of qubesd, and ends the stream when it ends', async () => {
    const watching = start('watch', '--json', '--every', '1')
    let text = ''
    watching.child.stdout?.on('data', (chunk: Buffer | string) => {
      text += chunk.toString()
    })
    await until(`watching: ${text}`, () => text.includes('"event":"watching","source":"qubesd"'))
    await bench.lab.plug({ backend: 'sys-usb', port: '2-2', kind: 'stick' })
    await until('the stick', () => /"device-added".*"port":"2-2"/.test(text))
    await bench.lab.unplug('sys-usb', '2-2')
    await until('its end', () => /"device-removed".*"port":"2-2"/.test(text))
    watching.child.kill('SIGINT')
    expect((await watching.done).code).toBe(130)
  })

  it('is restarted, and its attachment stands', async () => {
    expect((await inMgmt('attach', 'sys-usb', '2-1', 'work')).code).toBe(0)
    // Another boot, of this qube alone.
    writeFileSync(join(dirname(site), 'proc/sys/kernel/random/boot_id'), 'another-boot\n')
    const { json } = await inMgmt('list', '--json')
    expect(json).toMatchObject({ devices: [{}, { attachedTo: 'work', drift: null }], warnings: [] })
    // A frontend that was restarted has it no more, as soon as its backend has noticed.
    await bench.lab.fault('restart', 'work')
    await until('the release', async () => (await bench.device('2-1')).attachedTo === null)
    expect((await inMgmt('list', '--json')).json).toMatchObject({
      devices: [{}, { attachedTo: null, drift: null }],
      warnings: [{ code: 'ENDED' }],
    })
  })

  it.each([['dom0'], ['dom0', '--dry-run'], ['backend', 'sys-usb', '--dry-run'], ['remove', '--dry-run']])(
    "setup is dom0's, and what this needs of it is told: %s",
    async (...args) => {
      const { code, json } = await inMgmt('setup', ...args, '--json')
      expect(code).toBe(6)
      expect(json.error).toMatchObject({
        code: 'REFUSED',
        message: expect.stringContaining('management qube'),
      })
      expect(json.error.hint).toContain(`install -d -m 2770 -g qubes ${join(dirname(site), 'var/lib/qusb')}`)
    },
  )

  it('has rules, explains them, and attaches by them', async () => {
    expect((await inMgmt('rule', 'add', 'sys-usb', '2-1', 'work')).code).toBe(0)
    try {
      expect(await inMgmt('rule', 'check', '--json')).toMatchObject({
        code: 0,
        stderr: '',
        json: { findings: [] },
      })
      for (const words of [['explain'], ['rule', 'test']]) {
        const { code, stderr, json } = await inMgmt(...words, 'sys-usb', '2-1', '--json')
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
        expect(JSON.stringify(json)).toContain('"frontend":"work"')
      }
      const watching = start('watch', '--auto', '--json', '--no-input')
      let text = ''
      watching.child.stdout?.on('data', (chunk: Buffer | string) => {
        text += chunk.toString()
      })
      const attached = (times: number) => () => text.split('"rule-attached"').length > times
      try {
        await until('the attach by rule', attached(1))
        expect((await bench.device('2-1')).attachedTo).toBe('work')
        expect((await inMgmt('detach', 'sys-usb', '2-1')).code).toBe(0)
        await bench.lab.unplug('sys-usb', '2-1')
        await until('it has left', async () => (await bench.device('2-1')) === undefined)
        await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
        await until('the attach of the new one', attached(2))
      } finally {
        watching.child.kill('SIGINT')
      }
      expect((await watching.done).code).toBe(130)
    } finally {
      await inMgmt('rule', 'remove', '50-qusb.rules:3')
      await inMgmt('detach', '--all')
    }
  })

  it('knows no qube that policy does not show it', async () => {
    const { code, json } = await inMgmt('attach', 'sys-usb', '2-1', 'secret', '--json')
    expect(code).toBe(3)
    // Whether it is there or not, this one cannot know.
    expect(json.error.message).toContain('policy does not let this one list it')
  })
})

describe('from a management qube that policy refuses something', () => {
  beforeAll(async () => await open(FILE))
  beforeEach(() => allowAllBut())
  afterEach(async () => {
    allowAllBut()
    await inMgmt('detach', '--all')
  })
  afterAll(async () => await bench?.end())

  const refusal = (call: string, qube: string, option = 'target=dom0') => ({
    code: 'REFUSED',
    message: expect.stringContaining(`${call} to ${qube}`),
    hint: expect.stringContaining(`: ${call} * mgmt ${qube} allow ${option}`),
  })

  it.each([
    ['list', '--json'],
    ['attach', 'sys-usb', '2-1', 'work', '--json'],
    ['watch', '--json'],
  ])('cannot do without the list of qubes, and says so: %s', async (...args) => {
    allowAllBut('admin.vm.List')
    const { code, json } = await inMgmt(...args)
    expect(code).toBe(6)
    expect(json.error).toMatchObject(refusal('admin.vm.List', 'dom0'))
  })

  it('does without what tells more, and says what', async () => {
    allowAllBut('admin.vm.device.pci.Available')
    const { code, json } = await inMgmt('list', '--json')
    expect(code).toBe(0)
    expect(json.devices).toHaveLength(2)
    expect(json.warnings).toMatchObject([
      { ...refusal('admin.vm.device.pci.Available', 'dom0'), code: 'QUBESD' },
    ])
  })

  it('tells of an attach that is refused, and leaves nothing', async () => {
    allowAllBut('admin.vm.device.usb.Attach')
    const { code, json } = await inMgmt('attach', 'sys-usb', '2-1', 'work', '--json')
    expect(code).toBe(6)
    expect(json.error).toMatchObject(refusal('admin.vm.device.usb.Attach', 'work'))
    expect((await inMgmt('list', '--json')).json).toMatchObject({
      devices: [{}, { state: 'free', drift: null }],
      warnings: [],
    })
  })

  it('names the line that giving a stuck device back needs, and gives it back with it', async () => {
    expect((await bench.qusb('attach', 'sys-usb', '2-1', 'work')).code).toBe(0)
    const detached = await bench.lab.call('work', 'root:QUBESRPC qubes.USBDetach dom0', 'sys-usb 2-1\n')
    expect(detached.code).toBe(0)
    await until('the release', async () => {
      const { attachedTo, driver } = await bench.device('2-1')
      return attachedTo === null && driver === 'usbip-host'
    })
    const line = 'qubes.VMRootShell * mgmt sys-usb allow autostart=no'
    const stuck = async (...args: string[]) =>
      (await inMgmt('doctor', ...args, '--json')).json.checks.find(
        ({ id }: { id: string }) => id === 'stuck-devices',
      )
    expect((await stuck()).findings).toMatchObject([
      { state: 'warning', qube: 'sys-usb', fix: expect.stringContaining(`: ${line}`) },
    ])
    const begun = Date.now()
    const refused = await stuck('--fix')
    expect(refused.findings[0].message).toContain('could not be mended')
    expect(refused.findings[0].message).toContain(`: ${line}`)
    // It is not waited for what nobody does.
    expect(Date.now() - begun).toBeLessThan(30_000)
    const more = join(bench.lab.dir, 'dom0/etc/qubes/policy.d/31-root.policy')
    writeFileSync(more, `${line}\n`)
    try {
      expect(await stuck('--fix')).toMatchObject({ state: 'mended' })
    } finally {
      rmSync(more)
    }
    expect(await bench.device('2-1')).toMatchObject({ state: 'free', driver: 'usb' })
  })

  it('says REFUSED where a backend keeps what was detached, and policy lets nobody here give it back', async () => {
    const keeps = join(bench.lab.dir, 'qubes/sys-usb/etc/qubes/usb-leave-on-usbip-host')
    mkdirSync(dirname(keeps), { recursive: true })
    writeFileSync(keeps, '')
    try {
      expect((await inMgmt('attach', 'sys-usb', '2-1', 'work')).code).toBe(0)
      const { code, json } = await inMgmt('detach', 'sys-usb', '2-1', '--json')
      expect(json).toMatchObject({
        attachments: [{ error: { code: 'REFUSED', message: expect.stringContaining('qubes.VMRootShell') } }],
      })
      expect(code).toBe(6)
    } finally {
      rmSync(keeps)
    }
    // Out of dom0 nothing stands in the way.
    expect((await bench.qusb('detach', 'sys-usb', '2-1')).code).toBe(0)
    expect(await bench.device('2-1')).toMatchObject({ state: 'free', driver: 'usb' })
  })

  it('without its directories says how they are made here', async () => {
    const config = join(dirname(site), 'etc/qusb')
    rmSync(config, { recursive: true })
    try {
      const { code, json } = await inMgmt('rule', 'add', 'sys-usb', '2-1', 'work', '--json')
      expect(code).toBe(11)
      expect(json.error.hint).toContain('in a management qube the line that `qusb doctor` tells')
      const checks = (await inMgmt('doctor', '--json')).json.checks
      const directories = checks.find(({ id }: { id: string }) => id === 'directories')
      expect(directories.findings[0].fix).toContain(`-m 2775 -g qubes ${config} `)
    } finally {
      mkdirSync(config, { mode: 0o700 })
    }
  })

  it('tells of a detach that is refused, and what stood stands', async () => {
    expect((await inMgmt('attach', 'sys-usb', '2-1', 'work')).code).toBe(0)
    allowAllBut('admin.vm.device.usb.Detach')
    const { code, json } = await inMgmt('detach', 'sys-usb', '2-1', '--json')
    expect(code).toBe(6)
    expect(json.attachments[0].error).toMatchObject(refusal('admin.vm.device.usb.Detach', 'work'))
    expect((await inMgmt('list', '--json')).json).toMatchObject({
      devices: [{}, { attachedTo: 'work', drift: null }],
      warnings: [],
    })
  })
})

describe('with the policy that README says', () => {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
  const section = readme.slice(readme.indexOf('### From a management qube'))
  const policy = /```\n(.*?)```/s.exec(section)?.[1] ?? ''

  beforeAll(async () => {
    await open({ ...FILE, policy: { '30-mgmt.policy': policy } })
    const config = join(dirname(site), 'etc/qusb/config.json')
    writeFileSync(config, JSON.stringify({ backends: ['sys-usb'] }))
  })
  afterAll(async () => await bench?.end())

  it('all of it is needed, and nothing else', async () => {
    expect(policy.trim().split('\n').length).toBeGreaterThan(5)
    const watching = start('watch', '--json')
    let text = ''
    watching.child.stdout?.on('data', (chunk: Buffer | string) => {
      text += chunk.toString()
    })
    await until(`watching: ${text}`, () => text.includes('"event":"watching","source":"qubesd"'))
    for (const args of [['list'], ['attach', 'sys-usb', '2-1', 'work'], ['detach', 'sys-usb', '2-1']]) {
      const { code, stderr, json } = await inMgmt(...args, '--json')
      expect({ code, stderr, warnings: json.warnings }).toEqual({ code: 0, stderr: '', warnings: [] })
    }
    await until('the detach', () => text.includes('"device-detached"'))
    watching.child.kill('SIGINT')
    await watching.done
    const used = readFileSync(join(bench.lab.dir, 'log'), 'utf8')
    // Policy asks of itself about a qube that is listed or tells events: those are in no log.
    for (const [i, line] of policy.trim().split('\n').entries()) {
      const [call, , , about] = line.split(/ +/)
      if (about !== 'dom0' && (call === 'admin.vm.List' || call === 'admin.Events')) continue
      expect(used, line).toMatch(new RegExp(`mgmt -> .*30-mgmt\\.policy:${i + 1}$`, 'm'))
    }
    expect(used).not.toMatch(/mgmt -> .*no policy line fits/)
  })
})

it('a lab tells how to run qusb in its management qube', async () => {
  await open({
    qubes: [
      { name: 'sys-usb', backend: true },
      { name: 'mgmt', management: true },
    ],
  })
  try {
    expect(existsSync(site)).toBe(true)
    const { code, json } = await inMgmt('list', '--json')
    expect(code).toBe(6)
    expect(json.error.hint).toContain('admin.vm.List * mgmt dom0 allow target=dom0')
  } finally {
    await bench.end()
  }
})
