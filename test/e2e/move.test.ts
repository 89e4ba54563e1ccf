import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, expectClean, type Ran, startBench, until, usedPorts } from './program.ts'

let bench: Bench

beforeAll(async () => {
  bench = await startBench({
    qubes: [
      { name: 'sys-usb', backend: true },
      { name: 'work' },
      { name: 'vault' },
      { name: 'no-proxy', proxy: { frontend: false } },
    ],
    devices: [
      { backend: 'sys-usb', port: '2-1', kind: 'stick', serial: 'STICK' },
      { backend: 'sys-usb', port: '1-2', kind: 'thermometer' },
    ],
  })
})
afterAll(async () => await bench?.end())
afterEach(async () => {
  expect(await bench.qusb('detach', '--all')).toMatchObject({ code: 0 })
})

const holder = async (port = '2-1'): Promise<string | null> => (await bench.device(port)).attachedTo
const history = async (): Promise<string[]> => {
  const { json } = await bench.qusb('history', '--json')
  return json.events.map(({ what, frontend }: { what: string; frontend: string }) => `${what} ${frontend}`)
}

/** Moves the stick with a stop where a step is reached for the first time, and something happens. */
async function moveStopped(
  at: string,
  strike: (kill: (signal: NodeJS.Signals) => void) => Promise<void>,
): Promise<Ran> {
  const running = bench.start(['move', 'sys-usb', '2-1', 'vault', '--json'], { faultPoint: at })
  await running.said(`qusb-fault-point ${at}\n`)
  await strike((signal) => running.child.kill(signal))
  return await running.done
}

describe('move', () => {
  it('takes a device from one qube to another, clean in the first', async () => {
    await bench.qusb('attach', 'sys-usb', '2-1', 'work')
    const moved = await bench.qusb('move', 'sys-usb', '2-1', 'vault', '--json')
    expect(moved, moved.stderr).toMatchObject({
      code: 0,
      json: { changed: true, from: 'work', attachment: { port: '2-1', frontend: 'vault' } },
    })
    expect(await holder()).toBe('vault')
    expect(await usedPorts(bench, 'work')).toBe(0)
    expect(await usedPorts(bench, 'vault')).toBe(1)
    expect((await history()).slice(-3)).toEqual(['attached work', 'detached work', 'attached vault'])
    const back = await bench.qusb('attach', '0951:1666', 'work', '--replace')
    expect(back).toMatchObject({ code: 0, stdout: expect.stringContaining('from vault to work') })
    expect(await holder()).toBe('work')
    expect(await usedPorts(bench, 'vault')).toBe(0)
  })

  it('attaches what nobody has, and does nothing where it is already', async () => {
    const free = await bench.qusb('move', 'sys-usb', '2-1', 'work', '--json')
    expect(free).toMatchObject({ code: 0, json: { changed: true, from: null } })
    const there = await bench.qusb('move', 'sys-usb', '2-1', 'work', '--json')
    expect(there).toMatchObject({ code: 0, json: { changed: false, from: null } })
    const planned = await bench.qusb('move', 'sys-usb', '2-1', 'vault', '--json', '--dry-run')
    expect(planned.json).toMatchObject({ changed: false, from: 'work' })
    expect(planned.json.plan.map(({ step }: { step: string }) => step)).toContain('detach')
    expect(await holder()).toBe('work')
  })

  it.each([
    ['no-proxy', 8, null],
    ['nobody', 3, null],
    ['sys-usb', 6, null],
    ['dom0', 6, null],
    ['vault', 10, 'no-free-port'],
    ['vault', 6, 'policy-refuses'],
  ] as const)('to %s ends in %i before it is given up (%s)', async (frontend, code, fault) => {
    await bench.qusb('attach', 'sys-usb', '2-1', 'work')
    const about = fault === 'no-free-port' ? 'vault' : null
    if (fault !== null) await bench.lab.fault(fault, about)
    const before = await history()
    try {
      const moved = await bench.qusb('move', 'sys-usb', '2-1', frontend, '--json')
      expect(moved.code, moved.stderr + moved.stdout).toBe(code)
      expect(await holder()).toBe('work')
      if (fault !== 'policy-refuses') expect(await history()).toEqual(before)
    } finally {
      if (fault !== null) await bench.lab.fault(fault, about, { off: true })
    }
  })

  it('puts it back when the attach fails', async () => {
    await bench.qusb('attach', 'sys-usb', '2-1', 'work')
    const failed = await moveStopped('call-attach', async (kill) => {
      await bench.lab.fault('service-missing', 'vault')
      kill('SIGUSR2')
    })
    await bench.lab.fault('service-missing', 'vault', { off: true })
    expect(failed.code, failed.stderr).toBe(8)
    expect(failed.json.error).toMatchObject({
      code: 'NO_PROXY',
      message: expect.stringMatching(/it is back in work$/),
    })
    expect(await holder()).toBe('work')
    expect(await usedPorts(bench, 'vault')).toBe(0)
    expect(await usedPorts(bench, 'work')).toBe(1)
  })

  it.each(['SIGINT', 'SIGTERM'] as const)('puts it back on %s', async (signal) => {
    await bench.qusb('attach', 'sys-usb', '2-1', 'work')
    const ended = await moveStopped('grant', async (kill) => kill(signal))
    expect(ended.code, ended.stderr).toBe(signal === 'SIGINT' ? 130 : 143)
    expect(ended.json.error.message).toMatch(/it is back in work$/)
    expect(await holder()).toBe('work')
  })

  it('says so when it cannot put it back', async () => {
    await bench.qusb('attach', 'sys-usb', '2-1', 'work')
    const failed = await moveStopped('call-attach', async (kill) => {
      await bench.lab.unplug('sys-usb', '2-1')
      kill('SIGUSR2')
    })
    expect(failed.code, failed.stderr).toBe(3)
    expect(failed.json.error.message).toMatch(/could NOT be put back into work: sys-usb has no device/)
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick', serial: 'STICK' })
    await expectClean(bench, '2-1', 'work')
  })

  it('by qubesd does the same', async () => {
    await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--via', 'admin')
    const moved = await bench.qusb('move', 'sys-usb', '2-1', 'vault', '--via', 'admin', '--json')
    expect(moved, moved.stderr).toMatchObject({ code: 0, json: { from: 'work' } })
    expect(await holder()).toBe('vault')
  })

  it('of two at once ends in one place, and tells the other', async () => {
    await bench.qusb('attach', 'sys-usb', '1-2', 'work')
    const both = await Promise.all([
      bench.qusb('move', 'sys-usb', '1-2', 'vault'),
      bench.qusb('move', 'sys-usb', '1-2', 'vault'),
    ])
    const codes = both.map(({ code }) => code).sort()
    expect([
      [0, 0],
      [0, 5],
    ]).toContainEqual(codes)
    expect(await holder('1-2')).toBe('vault')
  })
})

describe('attach', () => {
  it('leaves what another has, and says how to take it', async () => {
    await bench.qusb('attach', 'sys-usb', '2-1', 'work')
    const refused = await bench.qusb('attach', 'sys-usb', '2-1', 'vault', '--json')
    expect(refused.json.error).toMatchObject({
      code: 'CONFLICT',
      hint: expect.stringContaining('qusb move sys-usb:2-1 vault'),
    })
  })

  it('tries again, where that may help, as often as it is told', async () => {
    await bench.lab.fault('no-free-port', 'vault')
    const begun = Date.now()
    const failed = await bench.qusb('attach', 'sys-usb', '2-1', 'vault', '--retry', '1')
    expect(failed.code, failed.stderr).toBe(10)
    expect(Date.now() - begun).toBeGreaterThan(1000)
    const trying = bench.start(['attach', 'sys-usb', '2-1', 'vault', '--retry', '8', '--json'])
    await bench.lab.fault('no-free-port', 'vault', { off: true })
    expect(await trying.done).toMatchObject({ code: 0, json: { changed: true } })
    // What would only be repeated is not.
    const again = Date.now()
    expect(await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--retry', '5')).toMatchObject({ code: 5 })
    expect(Date.now() - again).toBeLessThan(5000)
  })
})

describe.each(['4.3', 'none'] as const)('attach --wait, qubesd %s', (qubesd) => {
  let waiting: Bench
  beforeAll(async () => {
    waiting = await startBench({
      qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }],
      devices: [{ backend: 'sys-usb', port: '1-2', kind: 'thermometer' }],
      qubesd,
    })
  })
  afterAll(async () => await waiting?.end())

  it('attaches what comes', async () => {
    const words = [
      ['sys-usb', '2-1', 'work'],
      ['0951:1666@LATER', 'work'],
      ['class:storage', 'work'],
    ]
    for (const some of words) {
      const running = waiting.start(['attach', ...some, '--wait', '--json'])
      await waiting.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick', serial: 'LATER' })
      const { code, json, stderr } = await running.done
      expect(code, stderr).toBe(0)
      expect(json).toMatchObject({ changed: true, attachment: { port: '2-1', frontend: 'work' } })
      await waiting.lab.unplug('sys-usb', '2-1')
    }
  })

  it('takes at once what is there', async () => {
    expect(await waiting.qusb('attach', 'sys-usb', '1-2', 'work', '--wait')).toMatchObject({ code: 0 })
    expect(await waiting.qusb('detach', 'sys-usb', '1-2')).toMatchObject({ code: 0 })
  })

  it('waits no longer than it may', async () => {
    const begun = Date.now()
    const ended = await waiting.qusb('attach', 'sys-usb', '2-7', 'work', '--wait=2', '--json')
    expect(ended).toMatchObject({ code: 9, json: { error: { code: 'TIMEOUT' } } })
    expect(Date.now() - begun).toBeGreaterThanOrEqual(2000)
  })

  it('ends on Ctrl-C', async () => {
    const running = waiting.onTerminal('attach', 'class:printer', 'work', '--wait')
    await until('it waits', () => running.screen().includes('waiting for class:printer'))
    running.type('\u0003')
    expect(await running.code, running.screen()).toBe(130)
  })

  it('does not wait for what cannot come', async () => {
    for (const [words, code] of [
      [['sys-usb', 'no-such-alias', 'work'], 'NOT_FOUND'],
      [['sys-usb', '2-7', 'dom0'], 'REFUSED'],
      [['sys-usb', '2-7', 'sys-usb'], 'REFUSED'],
      ...(qubesd === 'none' ? [] : [[['sys-usb', '2-7', 'nobody'], 'NOT_FOUND'] as const]),
      ...(qubesd === 'none' ? [] : [[['sys-nothing', '2-7', 'work'], 'NOT_FOUND'] as const]),
    ] as const) {
      const { json } = await waiting.qusb('attach', ...words, '--wait', '--json')
      expect(json, words.join(' ')).toMatchObject({ error: { code } })
    }
  })
})
