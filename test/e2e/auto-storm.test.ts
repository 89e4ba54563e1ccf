import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, startBench, until } from './program.ts'
import { startWatch, type Watching, writeRules } from './watching.ts'

// A kernel exports from 16 ports of a machine (usbip-host's MAX_BUSID), so that 50 devices need four USB qubes.
const BACKENDS = ['sys-usb', 'sys-usb-2', 'sys-usb-3', 'sys-usb-4']
const FRONTENDS = ['work1', 'work2', 'work3', 'work4']

describe('a storm', () => {
  let bench: Bench
  let watching: Watching
  beforeAll(async () => {
    bench = await startBench({
      qubes: [
        ...BACKENDS.map((name) => ({ name, backend: true })),
        ...FRONTENDS.map((name) => ({ name, vhciPorts: 15 })),
      ],
      qubesd: 'none',
    })
    for (const backend of BACKENDS) await bench.qusb('setup', 'backend', backend, '--group', 'root')
    await countShells(bench)
    writeRules(bench, ...FRONTENDS.map((name, i) => `08f7:000${i + 1}  *  ${name}  allow`))
    watching = startWatch(bench, ['--auto', '--every', '3600'])
    await watching.told('watching surveys')
  }, 120_000)
  afterEach(async () => {
    for (const { backend, port } of (await bench.lab.status()).devices) await bench.lab.unplug(backend, port)
  })
  afterAll(async () => {
    await watching?.end()
    await bench?.end()
  })

  const log = (): string[] => readFileSync(join(bench.lab.dir, 'log'), 'utf8').split('\n')
  /** Attaches that have reached the backend since the log had so many lines. */
  const attaches = (since: number): string[] =>
    log()
      .slice(since)
      .flatMap((line) => / -> (sys-usb\S* qubes\.USB\+\S+): allow/.exec(line)?.[1] ?? [])

  it('of 50 devices ends with each where its rule says, after one attach each', async () => {
    const before = log().length
    const devices = Array.from({ length: 50 }, (_, i) => ({
      backend: BACKENDS[i % BACKENDS.length] ?? '',
      kind: 'thermometer' as const,
      port: `1-${Math.floor(i / BACKENDS.length) + 1}`,
      productId: `000${(i % FRONTENDS.length) + 1}`,
    }))
    await Promise.all(devices.map((device) => bench.lab.plug(device)))
    await until(
      'all are attached',
      async () => {
        const { devices: plugged } = await bench.lab.status()
        return plugged.every(({ attachedTo }) => attachedTo !== null)
      },
      150_000,
    )
    for (const [i, device] of (await bench.lab.status()).devices.entries()) {
      expect(device.attachedTo, `device ${i}`).toBe(FRONTENDS[Number(device.productId) - 1])
    }
    expect(attaches(before)).toHaveLength(50)
    expect(watching.events().filter(({ event }) => event === 'rule-failed')).toEqual([])
  }, 200_000)

  it('of one device that bounces ends with it attached, after no more attaches than plugs', async () => {
    const before = log().length
    for (let i = 0; i < 20; i++) {
      await bench.lab.plug({ backend: 'sys-usb', kind: 'thermometer', port: '1-1', productId: '0001' })
      if (i < 19) await bench.lab.unplug('sys-usb', '1-1')
    }
    await until('it is attached', async () => (await bench.device('1-1'))?.attachedTo === 'work1', 60_000)
    expect(attaches(before).length).toBeLessThanOrEqual(20)
    const { json } = await bench.qusb('list', '--json')
    expect(json.devices).toMatchObject([{ port: '1-1', attachedTo: 'work1', drift: null }])
  }, 120_000)

  it('of a device that cannot be attached holds up no other', async () => {
    await bench.lab.fault('attach-hangs', 'sys-usb-2')
    await bench.lab.plug({ backend: 'sys-usb-2', kind: 'thermometer', port: '1-1', productId: '0001' })
    await bench.lab.plug({ backend: 'sys-usb', kind: 'thermometer', port: '1-2', productId: '0002' })
    await watching.told('rule-attached 1-2 work2')
    await bench.lab.fault('attach-hangs', 'sys-usb-2', { off: true })
    await bench.lab.unplug('sys-usb-2', '1-1')
  })

  it('of hints costs a few looks a second, and loses no device', async () => {
    const socket = join(bench.lab.dir, 'dom0/run/qusb/plugged.sock')
    const surveysBefore = await surveys(bench)
    const began = Date.now()
    let calls = 0
    // As many as go through: what a call says beyond the descriptor, or in its place, is no matter.
    const words = [
      'qusb.Plugged+ sys-usb keyword adminvm\0',
      'qusb.Plugged+x sys-usb a\0rm -rf',
      '\0\0',
      'x'.repeat(5000),
    ]
    const flood = async (): Promise<void> => {
      while (Date.now() - began < 4000) {
        await new Promise<void>((resolve) => {
          const client = connect(socket)
          client.on('error', () => {}).resume()
          client.once('close', () => resolve())
          client.once('connect', () => client.end(words[calls++ % words.length] ?? ''))
        })
      }
    }
    const flooding = Promise.all(Array.from({ length: 20 }, flood))
    await bench.lab.plug({ backend: 'sys-usb', kind: 'thermometer', port: '1-3', productId: '0003' })
    await watching.told('rule-attached 1-3 work3')
    await flooding
    const seconds = (Date.now() - began) / 1000
    expect(calls).toBeGreaterThan(1000)
    // Of the survey's own and of the attach's: not one for each call.
    expect((await surveys(bench)) - surveysBefore).toBeLessThan(6 * seconds + 10)
  }, 120_000)
})

/** Lets the backend count the calls of its shell: that is what a survey is. */
async function countShells(bench: Bench): Promise<void> {
  const script = ['#!/bin/sh', 'printf x >>"$QUSB_ROOT/lab/shells"', 'exec sh'].join('\\n')
  await bench.inQube('sys-usb', `printf '${script}\\n' >"$QUSB_ROOT/etc/qubes-rpc/qubes.VMShell"`)
}

async function surveys(bench: Bench): Promise<number> {
  return (await bench.inQube('sys-usb', 'cat "$QUSB_ROOT/lab/shells"')).length
}
