import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, startBench, until } from './program.ts'

let bench: Bench
beforeAll(async () => {
  bench = await startBench({
    qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }, { name: 'vault' }],
    devices: [1, 2].map((n) => ({
      backend: 'sys-usb',
      port: `1-${n}`,
      kind: 'thermometer',
      serial: `T${n}`,
    })),
  })
  logCalls()
})
afterAll(async () => await bench?.end())
afterEach(async () => {
  expect(await bench.qusb('detach', '--all')).toMatchObject({ code: 0 })
  expect(locks()).toEqual([])
})

const calls = (): string => join(bench.lab.dir, 'asked')

/** Each call of the site is written down when it begins. */
function logCalls(): void {
  const site = JSON.parse(readFileSync(bench.lab.site, 'utf8'))
  const client = join(bench.lab.dir, 'logging-client')
  writeFileSync(client, `#!/bin/sh\necho "$4 $5" >>'${calls()}'\nexec '${site.qrexecClient}' "$@"\n`, {
    mode: 0o755,
  })
  writeFileSync(bench.lab.site, JSON.stringify({ ...site, qrexecClient: client }))
}

/** What one qusb asks of the qubes, a word a call. */
async function callsOf(...words: string[]): Promise<string[]> {
  writeFileSync(calls(), '')
  expect(await bench.qusb(...words)).toMatchObject({ code: 0 })
  const [looking, attaching, detaching] = [/VMShell/, /USBAttach/, /USBDetach/]
  return readFileSync(calls(), 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const [qube = ''] = line.split(' ')
      if (attaching.test(line)) return `attach in ${qube}`
      if (detaching.test(line)) return `detach in ${qube}`
      expect(line).toMatch(looking)
      return `${line.includes('root:') ? 'root' : 'look'} ${qube}`
    })
}

function locks(): string[] {
  const directory = join(bench.lab.dir, 'dom0/run/qusb/locks')
  return existsSync(directory) ? readdirSync(directory).sort() : []
}

describe('what an operation asks', () => {
  const both = ['look sys-usb', 'look work']

  it('is a look at both sides before and after an attach, and a detach', async () => {
    // On a machine so slow that a look is old when it is used, it is repeated: one of some must be as it should be.
    await expect
      .poll(
        async () => {
          const attach = await callsOf('attach', 'sys-usb', '1-1', 'work')
          const detach = await callsOf('detach', 'sys-usb', '1-1')
          return [attach, detach].map((asked) => {
            const at = asked.findIndex((call) => / in /.test(call))
            return [...asked.slice(0, at).sort(), asked[at], ...asked.slice(at + 1).sort()]
          })
        },
        { timeout: 60_000 },
      )
      .toEqual([
        [...both, 'attach in work', ...both],
        [...both, 'detach in work', 'look work', 'root sys-usb'],
      ])
  }, 90_000)
})

describe('locks that are taken before the first look', () => {
  it('are held while it looks, where the words tell of what', async () => {
    const one = bench.start(['attach', 'sys-usb', '1-1', 'work'], { faultPoint: 'survey' })
    await one.said('qusb-fault-point survey')
    await until('both are held', () => locks().join(' ') === 'device-sys-usb_1-1.lock frontend-work.lock')
    expect(await bench.qusb('attach', 'sys-usb', '1-1', 'vault')).toMatchObject({ code: 5 })
    one.child.kill('SIGUSR2')
    expect(await one.done).toMatchObject({ code: 0 })
  })

  it('are not those of what only a look tells', async () => {
    const one = bench.start(['move', '08f7:0002@T1', 'work'], { faultPoint: 'survey' })
    await one.said('qusb-fault-point survey')
    expect(locks()).toEqual([])
    one.child.kill('SIGUSR2')
    await one.done
  })

  it('keep nobody from what needs none of them', { timeout: 30_000 }, async () => {
    expect(await bench.qusb('attach', 'sys-usb', '1-1', 'work')).toMatchObject({ code: 0 })
    const one = bench.start(['detach', 'sys-usb', '1-1'], { faultPoint: 'call-detach' })
    await one.said('qusb-fault-point call-detach')
    const again = await bench.qusb('attach', 'sys-usb', '1-1', 'work', '--json')
    expect(again).toMatchObject({ code: 0, json: { changed: false } })
    one.child.kill('SIGUSR2')
    expect(await one.done).toMatchObject({ code: 0 })
  })

  it('do not keep a mistake waiting for the frontend', { timeout: 30_000 }, async () => {
    const one = bench.start(['attach', 'sys-usb', '1-1', 'work'], { faultPoint: 'call-attach' })
    await one.said('qusb-fault-point call-attach')
    expect(await bench.qusb('attach', 'sys-usb', '9-9', 'work', '--timeout', '60')).toMatchObject({ code: 3 })
    one.child.kill('SIGUSR2')
    expect(await one.done).toMatchObject({ code: 0 })
  })
})
