import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { LabFileText } from '../../src/lab/file/schema.ts'
import { type Bench, expectClean, onSleeper, startBench, until } from './program.ts'
import { startWatch, type Watching, writeRules } from './watching.ts'

const FILE: LabFileText = {
  qubes: [
    { name: 'sys-usb', backend: true },
    { name: 'work' },
    { name: 'vault' },
    { name: 'late', state: 'halted' },
  ],
}

/** Who has the device at this port. */
const holderOf = async (bench: Bench, port: string): Promise<string | null | undefined> =>
  (await bench.device(port))?.attachedTo

describe('watch --auto beside the assignments of qubesd', () => {
  it('lets qubesd have its turn, and then does what the rules say; what qubesd asks about is left to it', async () => {
    const bench = await startBench({
      ...FILE,
      assignments: [
        { frontend: 'vault', backend: 'sys-usb', port: '2-1' },
        { frontend: 'vault', backend: 'sys-usb', port: '2-2', mode: 'ask-to-attach' },
        { frontend: 'late', backend: 'sys-usb', port: '2-3' },
      ],
    })
    writeRules(bench, 'class:storage  *  work  allow')
    const watching = startWatch(bench, ['--auto'])
    try {
      await watching.told('watching qubesd')
      // The lab's qubesd says what it would attach, and leaves it at that.
      const plug = async (port: string) =>
        await bench.lab.plug({ backend: 'sys-usb', port, kind: 'stick', serial: port })
      for (const port of ['2-1', '2-2', '2-3']) await plug(port)
      // Whoever it is assigned to does not run: nobody is waited for.
      await watching.told('rule-attached 2-3 work', 'rule-attached 2-1 work')
      const at = (event: string, port: string): number =>
        Date.parse(watching.events().find((each) => each.event === event && each.port === port)?.at)
      expect(at('rule-attached', '2-1') - at('device-added', '2-1')).toBeGreaterThanOrEqual(3500)
      expect(await holderOf(bench, '2-2')).toBeNull()

      // Attached by qubesd in its turn, it is nobody else's business.
      await bench.lab.unplug('sys-usb', '2-1')
      await watching.told('device-removed 2-1')
      await plug('2-1')
      await watching.told('device-added 2-1')
      expect(await bench.qusb('attach', 'sys-usb', '2-1', 'vault', '--via', 'admin')).toMatchObject({
        code: 0,
      })
      await watching.told('device-attached 2-1 vault')
      await plug('2-4')
      await watching.told('rule-attached 2-4 work')
      expect(await holderOf(bench, '2-1')).toBe('vault')
    } finally {
      await watching.end()
      await bench.end()
    }
  })
})

describe.each(['4.3', 'none'] as const)('watch --auto, qubesd %s', (qubesd) => {
  let bench: Bench
  let watching: Watching | undefined
  beforeAll(async () => {
    bench = await startBench({ ...FILE, qubesd })
    await bench.qusb('setup', 'backend', 'sys-usb', '--group', 'root')
  })
  afterEach(async () => {
    await watching?.end()
    watching = undefined
    for (const { backend, port } of (await bench.lab.status()).devices) await bench.lab.unplug(backend, port)
  })
  afterAll(async () => await bench?.end())

  const start = async (...args: string[]): Promise<Watching> => {
    watching = startWatch(bench, ['--auto', ...args])
    await watching.told(`watching ${qubesd === 'none' ? 'surveys' : 'qubesd'}`)
    return watching
  }

  it('attaches at once what a rule allows, says which rule, and leaves the rest alone', async () => {
    writeRules(bench, '0951:1666@ONE  *  work  allow', '0951:1666@TWO  *  vault  allow', '*  *  @none  deny')
    // Only a hint can be what tells of it: without one, and without qubesd, nobody looks for an hour.
    const { told, end } = await start('--every', '3600')
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick', serial: 'ONE' })
    await bench.lab.plug({ backend: 'sys-usb', port: '2-2', kind: 'stick', serial: 'THREE' })
    await bench.lab.plug({ backend: 'sys-usb', port: '2-3', kind: 'stick', serial: 'TWO' })
    await told('rule-attached 2-1 work')
    await until('vault has 2-3', async () => (await holderOf(bench, '2-3')) === 'vault')
    expect(await bench.device('2-1')).toMatchObject({
      attachedTo: 'work',
      by: { rule: '50-test.rules:1' },
      drift: null,
    })
    expect(await holderOf(bench, '2-2')).toBeNull()
    const { json } = await bench.qusb('history', '--json')
    expect(json.events).toContainEqual(
      expect.objectContaining({ what: 'attached', port: '2-3', frontend: 'vault', rule: '50-test.rules:2' }),
    )
    expect(await end()).toBe(143)
  })

  it('leaves alone what was detached by hand, until it is plugged in anew', async () => {
    writeRules(bench, 'class:storage  *  work  allow')
    const { told, toldBoth } = await start()
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
    await toldBoth('rule-attached 2-1 work', 'device-attached 2-1 work')
    expect(await bench.qusb('detach', 'sys-usb', '2-1')).toMatchObject({ code: 0 })
    await told('device-detached 2-1 work')
    await bench.lab.plug({ backend: 'sys-usb', port: '2-2', kind: 'stick', serial: 'OTHER' })
    await told('rule-attached 2-2 work')
    await expectClean(bench, '2-1', 'work')
    await bench.lab.unplug('sys-usb', '2-1')
    await told('device-removed 2-1')
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
    await told('rule-attached 2-1 work')
  })

  it('leaves it alone also when the watcher is started anew', async () => {
    writeRules(bench, 'class:storage  *  work  allow')
    const first = await start()
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
    await first.toldBoth('rule-attached 2-1 work', 'device-attached 2-1 work')
    expect(await bench.qusb('detach', 'sys-usb', '2-1')).toMatchObject({ code: 0 })
    await first.told('device-detached 2-1 work')
    const kept = join(bench.lab.dir, 'dom0/run/qusb/left-alone.json')
    await until('it is written down', () => existsSync(kept) && readFileSync(kept, 'utf8').includes('"2-1"'))
    await first.end('SIGKILL')
    const second = await start()
    await bench.lab.plug({ backend: 'sys-usb', port: '2-2', kind: 'stick', serial: 'OTHER' })
    await second.told('rule-attached 2-2 work')
    expect(await holderOf(bench, '2-1')).toBeNull()
  })

  it.runIf(qubesd !== 'none')(
    'starts a frontend where its rule says so, after the delay; when-running waits for it',
    async () => {
      writeRules(
        bench,
        '0951:1666@LATER  *  late  allow  when-running=yes',
        '0951:1666@LATER  *  work  allow',
        '0951:1666        *  late  allow  start=yes delay=2',
      )
      const { told, events } = await start()
      await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick', serial: 'LATER' })
      await told('rule-attached 2-1 work')
      await bench.lab.plug({ backend: 'sys-usb', port: '2-2', kind: 'stick' })
      await told('device-added 2-2', 'rule-attached 2-2 late')
      const at = (event: string): number =>
        Date.parse(events().find((each) => each.event === event && each.port === '2-2')?.at)
      expect(at('rule-attached') - at('device-added')).toBeGreaterThanOrEqual(1900)
      await bench.lab.fault('halt', 'late')
    },
  )

  it('attaches again after a suspend what a rule had attached', async () => {
    await onSleeper(bench, async (sleptFor) => {
      writeRules(bench, 'class:storage  *  work  allow')
      const { told, toldBoth } = await start('--every', '1')
      await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
      // Before a look has seen it attached, nobody could tell that it no longer is.
      await toldBoth('rule-attached 2-1 work', 'device-attached 2-1 work')
      // The clock has gone on, and the backend has closed its exports: what a resume leaves.
      sleptFor(7200)
      await bench.lab.fault('link-closed', 'sys-usb')
      await told('device-detached 2-1 work', 'rule-attached 2-1 work')
      expect(await bench.device('2-1')).toMatchObject({ attachedTo: 'work', by: { rule: '50-test.rules:1' } })
      const { json } = await bench.qusb('history', '--json')
      expect(json.events).toContainEqual(
        expect.objectContaining({ what: 'ended', how: 'suspend', port: '2-1' }),
      )
      await watching?.end()
    })
  })

  it('gives a frontend that starts, or starts again, what its rules say', async () => {
    writeRules(bench, 'class:storage  *  late  allow')
    const { told } = await start('--every', '1')
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
    await told('device-added 2-1')
    expect(await holderOf(bench, '2-1')).toBeNull()
    await bench.lab.fault('start', 'late')
    await told('rule-attached 2-1 late')
    await bench.lab.fault('restart', 'late')
    await told('rule-attached 2-1 late')
    await bench.lab.fault('halt', 'late')
  })
})
