import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Management, startManagement } from './management-lab.ts'
import { fewAtATime, type Ran, until } from './program.ts'

/** Longer than qusb waits for qubesd from a management qube, all in all, ms; this machine may be busy. */
const IN_TIME_MS = 45_000

let management: Management
const run: Management['run'] = async (...args) => {
  const begun = Date.now()
  const ran = await management.run(...args)
  expect(Date.now() - begun, args.join(' ')).toBeLessThan(IN_TIME_MS)
  return ran
}
const fault = async (name: Parameters<Management['bench']['lab']['fault']>[0], value?: string) =>
  await management.bench.lab.fault(name, null, value === undefined ? {} : { value })
const heal = async () => {
  for (const name of ['qubesd-slow', 'qubesd-silent', 'qubesd-lying', 'qubesd-garbled'] as const)
    await management.bench.lab.fault(name, null, { off: true })
}
const holder = async () => (await management.bench.device('2-1')).attachedTo
const warningsOf = ({ json }: Ran): { code: string; message: string; hint: string | null }[] => json.warnings

beforeAll(async () => {
  management = await startManagement()
  // What is under test is qubesd's time: the USB qube has all that a busy machine needs.
  const site = JSON.parse(readFileSync(management.site, 'utf8'))
  writeFileSync(management.site, JSON.stringify({ ...site, limits: { surveyMs: 40_000 } }))
})
afterEach(async () => {
  await heal()
  management.allowAllBut()
  await management.bench.qusb('detach', '--all')
})
afterAll(async () => await management?.bench.end())

/** All that begins with the question which qubes there are. */
const COMMANDS = [
  ['list', '--json'],
  ['attach', 'sys-usb', '2-1', 'work', '--json'],
  ['watch', '--json'],
]

describe('a qubesd that does not tell which qubes there are', () => {
  it.each([
    ['is silent', 'qubesd-silent', undefined, 9, 'did not answer admin.vm.List within 10 s'],
    ['is too slow', 'qubesd-slow', '60', 9, 'did not answer admin.vm.List within 10 s'],
    ['breaks off', 'qubesd-garbled', 'half:admin.vm.List', 7, 'answers to admin.vm.List breaks off'],
    ['talks nonsense', 'qubesd-garbled', 'noise:admin.vm.List', 7, 'with what is no answer'],
    ['never ends', 'qubesd-garbled', 'endless:admin.vm.List', 7, 'without an end'],
    ['says nothing', 'qubesd-garbled', 'nothing:admin.vm.List', 6, 'refused admin.vm.List'],
    ['fails, and hostile', 'qubesd-garbled', 'escape:admin.vm.List', 10, 'all is well'],
  ] as const)('because it %s', async (_, name, value, code, message) => {
    await fault(name, value)
    const rans = await fewAtATime(COMMANDS, async (args) => await run(...args))
    for (const ran of rans) {
      expect(ran.code, ran.stdout).toBe(code)
      expect(ran.json.error.message).toContain(message)
      expect(ran.stdout + ran.stderr).not.toMatch(/[\u0007\u001b\u202e]/)
    }
    expect(await holder()).toBe(null)
    // What is named can be looked at without, and what is not known then is told.
    const named = await run('list', 'sys-usb', '--json')
    expect(named.code, named.stdout).toBe(0)
    expect(named.json.devices).toMatchObject([
      { port: '1-2', state: 'free' },
      { port: '2-1', state: 'free' },
    ])
    expect(warningsOf(named)).toMatchObject([
      {
        code: 'QUBESD',
        message: expect.stringMatching(/; not known: what it attaches by itself$/),
        hint: expect.stringContaining(' in dom0: '),
      },
    ])
  })

  it('because it is being restarted, until it is there', async () => {
    await fault('qubesd-restarting', '6')
    const ran = await run('list', '--json')
    expect(ran.code, ran.stdout).toBe(7)
    expect(ran.json.error.message).toContain('no connection to qubesd')
    const named = await run('list', 'sys-usb', '--json')
    expect(warningsOf(named)).toMatchObject([{ code: 'QUBESD' }])
    await until('it is back', async () => (await run('list', '--json')).code === 0)
  })
})

describe('a qubesd that tells which qubes there are, and of more', () => {
  it('late: it is waited for', async () => {
    await fault('qubesd-slow', '1')
    const ran = await run('list', '--json')
    expect(ran.code, ran.stdout).toBe(0)
    expect(ran.json.devices).toMatchObject([{ port: '1-2' }, { port: '2-1' }])
    expect(warningsOf(ran)).toEqual([])
  })

  it.each([
    ['half', 'admin.vm.device.usb.Assigned', 'what it attaches by itself', 'breaks off'],
    ['noise', 'admin.vm.device.pci.Available', 'which other USB qubes there are', 'no answer'],
    ['endless', 'admin.vm.device.pci.Available', 'which other USB qubes there are', 'without an end'],
    ['escape', 'admin.vm.device.usb.Available', 'which other USB qubes there are', 'all is well'],
  ])('%s of %s: what is true is shown, and %s is not known', async (kind, method, unknown, why) => {
    if (kind === 'half') {
      // An answer that has nothing in it has no half.
      await management.bench.qusb('attach', 'sys-usb', '2-1', 'work')
      await fault('qubesd-garbled', `endless:${method}`)
    } else await fault('qubesd-garbled', `${kind}:${method}`)
    const ran = await run('list', '--json')
    expect(ran.code, ran.stdout).toBe(0)
    expect(ran.json.devices).toMatchObject([{ port: '1-2' }, { port: '2-1' }])
    expect(warningsOf(ran)).toMatchObject([
      { code: 'QUBESD', message: expect.stringMatching(new RegExp(`; not known: ${unknown}$`)) },
    ])
    expect(warningsOf(ran)[0]?.message).toContain(kind === 'half' ? 'without an end' : why)
    expect(ran.stdout).not.toMatch(/[\u0007\u001b\u202e]/)
  })

  it('lies: nothing of it is shown where the backend says otherwise', async () => {
    await fault('qubesd-lying')
    const ran = await run('list', '--json')
    expect(ran.code, ran.stdout).toBe(0)
    expect(ran.json.devices).toMatchObject([
      { port: '1-2', state: 'free' },
      { port: '2-1', state: 'free' },
    ])
    expect(ran.json.devices).toHaveLength(2)
    expect(warningsOf(ran)).toEqual([])
  })
})

describe('a qubesd whose word alone there is', () => {
  it('lies: who has a device is not known, and what makes no sense is told', async () => {
    management.allowAllBut('qubes.VMShell')
    await fault('qubesd-lying')
    // What two qubes are said to have, nobody knows who has.
    await management.bench.lab.fault('start', 'vault')
    const ran = await run('list', '--json')
    await management.bench.lab.fault('halt', 'vault')
    expect(ran.code, ran.stdout).toBe(0)
    expect(ran.json.devices).toMatchObject([
      { port: '1-2', toldBy: 'qubesd', state: 'unknown', attachedTo: null },
      { port: '2-1', toldBy: 'qubesd', state: 'unknown', attachedTo: null },
    ])
    expect(warningsOf(ran).map(({ code }) => code)).toEqual(['BY_QUBESD', 'REJECTED'])
  })

  it.each(['half', 'noise', 'endless', 'escape'])(
    'answers %s: the backend has failed, and is named',
    async (kind) => {
      management.allowAllBut('qubes.VMShell')
      await fault('qubesd-garbled', `${kind}:admin.vm.device.usb.Available`)
      const ran = await run('list', 'sys-usb', '--json')
      expect(ran.code, ran.stdout).toBe(6)
      expect(ran.json.error.message).toContain('qubes.VMShell to sys-usb')
      expect(warningsOf(ran)).toMatchObject([
        { qube: 'sys-usb', code: 'REFUSED' },
        { code: 'QUBESD', message: expect.stringContaining('; not known: which devices sys-usb has') },
      ])
      const attached = await run('attach', 'sys-usb', '2-1', 'work', '--json')
      expect(attached.code, attached.stdout).toBe(6)
      expect(await holder()).toBe(null)
    },
  )
})

describe('an attach and a detach whose answer is none', () => {
  it.each(['half', 'noise', 'endless', 'nothing', 'escape'])(
    '%s: it is looked what came of them',
    async (kind) => {
      await fault('qubesd-garbled', `${kind}:admin.vm.device.usb.Attach`)
      const attached = await run('attach', 'sys-usb', '2-1', 'work', '--json')
      // The call came through: it stands, or is undone and told as a failure.
      expect([0, 6, 10], attached.stdout).toContain(attached.code)
      await heal()
      expect(await holder()).toBe(attached.code === 0 ? 'work' : null)
      expect((await run('list', '--json')).json).toMatchObject({
        devices: [{}, { attachedTo: attached.code === 0 ? 'work' : null, drift: null }],
        warnings: [],
      })
      await run('attach', 'sys-usb', '2-1', 'work')
      await fault('qubesd-garbled', `${kind}:admin.vm.device.usb.Detach`)
      const detached = await run('detach', 'sys-usb', '2-1', '--json')
      expect(detached.code, detached.stdout).toBe(0)
      expect(await holder()).toBe(null)
    },
  )

  it('a deny list that is cut short forbids', async () => {
    await fault('qubesd-garbled', 'noise:admin.vm.device.denied.List')
    const attached = await run('attach', 'sys-usb', '2-1', 'work', '--json')
    expect(attached.code, attached.stdout).toBe(7)
    expect(await holder()).toBe(null)
  })
})
