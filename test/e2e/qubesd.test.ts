import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LabFileText } from '../../src/lab/file/schema.ts'
import { type Bench, expectClean, grants, startBench, until } from './program.ts'

const FILE: LabFileText = {
  qubes: [
    { name: 'sys-usb', backend: true },
    { name: 'my-devices', backend: true },
    { name: 'usb-off', backend: true, state: 'halted' },
    { name: 'work' },
    { name: 'halted', state: 'halted' },
    { name: 'disp7', class: 'DispVM', state: 'paused' },
  ],
  devices: [
    { backend: 'sys-usb', port: '2-1', kind: 'stick' },
    { backend: 'sys-usb', port: '1-2', kind: 'webcam' },
    { backend: 'my-devices', port: '1-1', kind: 'thermometer' },
  ],
}

describe.each(['4.3', '4.2'] as const)('with qubesd of Qubes %s', (qubesd) => {
  let bench: Bench
  beforeAll(async () => {
    bench = await startBench({ ...FILE, qubesd })
    // Asking a paused qube would take all of qrexec's patience: here that is longer than any busy machine needs.
    const site = JSON.parse(readFileSync(bench.lab.site, 'utf8'))
    site.limits = { connectSeconds: 40, surveyMs: 45_000 }
    writeFileSync(bench.lab.site, JSON.stringify(site))
  })
  afterAll(async () => await bench?.end())

  it('backends are found by their USB controller, and a halted one is told', async () => {
    const { code, json } = await bench.qusb('list', '--json')
    expect(code).toBe(0)
    expect(
      json.devices.map((each: { backend: string; port: string }) => `${each.backend}:${each.port}`),
    ).toEqual(expect.arrayContaining(['sys-usb:2-1', 'sys-usb:1-2', 'my-devices:1-1']))
    expect(json.warnings).toEqual([
      {
        qube: 'usb-off',
        code: 'HALTED',
        message: expect.stringContaining('is halted'),
        hint: 'Start it: qvm-start usb-off',
      },
    ])
  })

  it('is asked once for each qube and kind of thing', async () => {
    const asked = (): string[] =>
      readFileSync(join(bench.lab.dir, 'log'), 'utf8').match(/(?<=qubesd: )admin\.\S+ \S+$/gm) ?? []
    const callsOf = async (...args: string[]): Promise<string[]> => {
      const before = asked().length
      expect((await bench.qusb(...args)).code).toBe(0)
      return asked().slice(before)
    }
    const calls = await callsOf('list', '--json')
    expect(calls).toContain('admin.vm.List dom0')
    expect(calls.filter((call, i) => calls.indexOf(call) !== i)).toEqual([])
    expect(calls.filter((call) => /usb\.(Assigned|List) work$/.test(call)).at(-1)).toContain(
      qubesd === '4.3' ? 'Assigned' : 'List',
    )
    // It is surveyed, so that its devices are not asked for once more.
    expect(calls).not.toContain('admin.vm.device.usb.Available sys-usb')
    expect(calls).toContain('admin.vm.device.usb.Available my-devices')
    // What a pipe is told has no assignments.
    const piped = await callsOf('list')
    expect(piped.filter((call) => /usb\.(Assigned|List)/.test(call))).toEqual([])
    expect(piped).toContain('admin.vm.device.usb.Available my-devices')
  })

  it.each([
    [['list', 'sys-ubs'], 3, 'NOT_FOUND', 'Did you mean sys-usb?'],
    [['attach', 'sys-usb', '2-1', 'wrok'], 3, 'NOT_FOUND', 'Did you mean work?'],
    [['attach', 'sys-usb', '2-1', 'nothing-like-it'], 3, 'NOT_FOUND', 'qvm-ls lists the qubes.'],
    [['attach', 'sys-usb', '2-1', 'halted'], 7, 'NOT_RUNNING', 'Start it: qvm-start halted'],
    [['list', 'usb-off'], 7, 'NOT_RUNNING', 'Start it: qvm-start usb-off'],
    [['attach', 'sys-usb', '2-1', 'disp7'], 7, 'NOT_RUNNING', expect.stringContaining('leave it alone')],
    [['detach', '--from', 'wokr'], 3, 'NOT_FOUND', 'Did you mean work?'],
    [['detach', 'sys-usb', '2-1', 'wokr'], 3, 'NOT_FOUND', 'Did you mean work?'],
  ])('%j', async (args, code, name, hint) => {
    const begun = Date.now()
    const ran = await bench.qusb(...args, '--json')
    expect(ran.json, ran.stdout).toMatchObject({ error: { code: name, hint } })
    expect(ran.code).toBe(code)
    // A paused qube is not even asked.
    expect(Date.now() - begun).toBeLessThan(30_000)
  })
})

describe.each(['4.3', '4.2'] as const)('attach and detach with qubesd of Qubes %s', (qubesd) => {
  let bench: Bench
  beforeAll(async () => {
    bench = await startBench({
      ...FILE,
      qubesd,
      qubes: [
        ...(FILE.qubes ?? []),
        { name: 'windows', stubdom: true },
        { name: 'bare', proxy: { frontend: false } },
      ],
      devices: [
        ...(FILE.devices ?? []),
        { backend: 'sys-usb', port: '2-2', kind: 'stick', serial: "a+b_c 'd'" },
      ],
    })
  })
  afterAll(async () => await bench?.end())

  it.each([
    ['2-1', 'work'],
    ['2-2', 'work'],
    ['2-1', 'windows'],
  ])('through qubesd: %s in %s, seen by both, and clean afterwards', async (port, frontend) => {
    const attached = await bench.qusb('attach', 'sys-usb', port, frontend, '--via', 'admin', '--json')
    expect(attached, attached.stdout).toMatchObject({ code: 0, json: { changed: true } })
    expect(await bench.device(port)).toMatchObject({ attachedTo: frontend, drift: null })
    expect(grants(bench)).toEqual([])
    const detached = await bench.qusb('detach', 'sys-usb', port, frontend, '--via', 'admin', '--json')
    expect(detached, detached.stdout).toMatchObject({ code: 0, json: { changed: true } })
    if (frontend === 'work') await expectClean(bench, port, frontend)
  })

  it('through one, detached through the other', async () => {
    expect(await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--via', 'admin')).toMatchObject({ code: 0 })
    expect(await bench.qusb('detach', 'sys-usb', '2-1')).toMatchObject({ code: 0 })
    await expectClean(bench, '2-1', 'work')
    expect(await bench.qusb('attach', 'sys-usb', '2-1', 'work')).toMatchObject({ code: 0 })
    expect(await bench.qusb('detach', 'sys-usb', '2-1', '--via', 'admin')).toMatchObject({ code: 0 })
    await expectClean(bench, '2-1', 'work')
  })

  it('tells why qubesd could not, and leaves nothing, whatever qubesd believes then', async () => {
    const bare = await bench.qusb('attach', 'sys-usb', '2-1', 'bare', '--via', 'admin', '--json')
    expect(bare, bare.stdout).toMatchObject({ code: 8, json: { error: { code: 'NO_PROXY' } } })
    await bench.lab.fault('yank-during-attach', 'sys-usb')
    const yanked = await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--via', 'admin', '--json')
    expect(yanked.json, yanked.stdout).toMatchObject({ error: { code: 'NOT_FOUND' } })
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
    expect(await bench.device('2-1')).toMatchObject({ state: 'free', attachedTo: null })
    const again = await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--json')
    expect(again, again.stdout).toMatchObject({ code: 0 })
    expect(await bench.qusb('detach', 'sys-usb', '2-1')).toMatchObject({ code: 0 })
  })

  it('that is interrupted is undone, whoever makes the call', async () => {
    await bench.lab.fault('slow-attach', 'sys-usb', { value: '2' })
    try {
      const running = bench.start(['attach', 'sys-usb', '2-1', 'work', '--via', 'admin', '--json'])
      const state = join(bench.lab.dir, 'dom0/var/lib/qusb/state.json')
      await until('the attach has begun', () => readFileSync(state, 'utf8').includes('"attaching"'))
      running.child.kill('SIGINT')
      expect(await running.done).toMatchObject({ code: 130, json: { error: { code: 'INTERRUPTED' } } })
    } finally {
      await bench.lab.fault('slow-attach', 'sys-usb', { off: true })
    }
    await expectClean(bench, '2-1', 'work')
  })

  it('--start starts a halted frontend, and not for nothing', async () => {
    const none = await bench.qusb('attach', 'sys-usb', '3-3', 'halted', '--start', '--json')
    expect(none.json).toMatchObject({ error: { code: 'NOT_FOUND' } })
    const state = async () => (await bench.lab.status()).qubes.find(({ name }) => name === 'halted')?.state
    expect(await state()).toBe('halted')
    const ran = await bench.qusb('attach', 'sys-usb', '2-1', 'halted', '--start', '--json')
    expect(ran, ran.stdout).toMatchObject({ code: 0, json: { changed: true } })
    expect(await state()).toBe('running')
    await bench.lab.fault('halt', 'halted')
  })
})

describe('what only qubesd knows', () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await startBench({
      qubes: [{ name: 'sys-usb', backend: true }, { name: 'work', denied: ['u08****'] }, { name: 'vault' }],
      devices: [
        { backend: 'sys-usb', port: '2-1', kind: 'stick' },
        { backend: 'sys-usb', port: '1-2', kind: 'thermometer' },
      ],
      assignments: [
        { frontend: 'vault', backend: 'sys-usb', port: '2-1', mode: 'ask-to-attach' },
        { frontend: 'work', backend: 'sys-usb', port: '*', device: '08f7:0002::uffffff', mode: 'required' },
      ],
    })
  })
  afterAll(async () => await bench?.end())

  it.each(['qrexec', 'admin'])('the deny list is obeyed over %s, --force or not', async (via) => {
    const ran = await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--force', '--via', via, '--json')
    expect(ran, ran.stdout).toMatchObject({
      code: 6,
      json: { error: { code: 'REFUSED', message: expect.stringContaining('u08****') } },
    })
    await expectClean(bench, '2-1', 'work')
  })

  it('assignments are listed', async () => {
    expect(await bench.device('2-1')).toMatchObject({
      assignment: { frontend: 'vault', mode: 'ask-to-attach', also: [] },
    })
    const info = await bench.qusb('info', 'sys-usb', '2-1', '--json')
    expect(info.json.device.assignment).toMatchObject({ frontend: 'vault' })
  })

  it.each([
    ['qubesd-silent', 'QUBESD', null],
    ['qubesd-slow', 'QUBESD', '2'],
    ['qubesd-lying', undefined, null],
  ] as const)(
    '%s hides nothing that is true, and tells nothing that is not',
    async (fault, warning, value) => {
      await bench.lab.fault(fault, null, value === null ? {} : { value })
      try {
        const { code, json } = await bench.qusb('list', '--json')
        expect(code).toBe(0)
        const seen = json.devices.map((each: { port: string; state: string }) => `${each.port} ${each.state}`)
        expect(seen.sort()).toEqual(['1-2 free', '2-1 free'])
        const info = await bench.qusb('info', 'sys-usb', '2-1', '--json')
        for (const { warnings } of [json, info.json]) {
          expect(warnings.map((each: { code: string }) => each.code)).toEqual(
            warning === undefined ? [] : [warning],
          )
        }
        const attached = await bench.qusb('attach', 'sys-usb', '2-1', 'vault', '--json')
        expect(attached, attached.stdout).toMatchObject({ code: 0 })
        expect(await bench.qusb('detach', 'sys-usb', '2-1', 'vault')).toMatchObject({ code: 0 })
      } finally {
        await bench.lab.fault(fault, null, { off: true })
      }
      await expectClean(bench, '2-1', 'vault')
    },
  )
})

describe('a backend that has no shell to look into it', () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await startBench({
      qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }],
      devices: [{ backend: 'sys-usb', port: '2-1', kind: 'stick' }],
    })
    await bench.lab.fault('service-missing', 'sys-usb', { value: 'qubes.VMShell' })
  })
  afterAll(async () => await bench?.end())

  it('is shown by the word of qubesd, which dom0 hears in full', async () => {
    const { code, json } = await bench.qusb('list', 'sys-usb', '--json')
    expect(code).toBe(0)
    expect(json).toMatchObject({
      devices: [
        { port: '2-1', toldBy: 'qubesd', vendorId: '0951', state: 'free', driver: null, usage: null },
      ],
      warnings: [{ code: 'BY_QUBESD', message: expect.stringContaining('no service qubes.VMShell') }],
    })
    const info = await bench.qusb('info', 'sys-usb', '2-1', '--json')
    expect(info.json.warnings).toMatchObject([{ code: 'BY_QUBESD' }])
  })

  it('gives a device by qubesd alone, and takes it back', async () => {
    const refused = await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--json')
    expect(refused.code).toBe(8)
    expect(refused.json.error.hint).toContain('--via admin')
    for (const via of [['--via', 'admin'], []]) {
      const attached = await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--via', 'admin', '--json')
      expect(attached, attached.stdout).toMatchObject({ code: 0, json: { changed: true } })
      expect((await bench.lab.status()).devices[0]?.attachedTo).toBe('work')
      expect((await bench.qusb('list', '--json')).json.devices).toMatchObject([
        { state: 'attached', attachedTo: 'work', drift: null },
      ])
      const detached = await bench.qusb('detach', 'sys-usb', '2-1', '--json', ...via)
      expect(detached, detached.stdout).toMatchObject({ code: 0, json: { changed: true } })
      expect((await bench.lab.status()).devices[0]).toMatchObject({ attachedTo: null, driver: 'usb' })
    }
  })

  it('is not asked in place of a frontend', async () => {
    await bench.lab.fault('service-missing', 'work', { value: 'qubes.VMShell' })
    const { code, json } = await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--via', 'admin', '--json')
    await bench.lab.fault('service-missing', 'work', { value: 'qubes.VMShell', off: true })
    expect(code).toBe(8)
    expect(json.error.message).toContain('work has no service qubes.VMShell')
  })
})
