import { spawnSync } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, expectClean, grants, startBench, until, usedPorts } from './program.ts'

let bench: Bench

beforeAll(async () => {
  bench = await startBench({
    qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }],
    devices: [{ backend: 'sys-usb', port: '1-1', kind: 'thermometer' }],
  })
})
afterAll(async () => await bench.end())
afterEach(async () => {
  expect(await bench.qusb('detach', '--all')).toMatchObject({ code: 0 })
})

const ATTACH = ['attach', 'sys-usb', '1-1', 'work', '--json'] as const

const stateDir = (): string => join(bench.lab.dir, 'dom0/var/lib/qusb')
const policyDir = (): string => join(bench.lab.dir, 'dom0/run/qubes/policy.d')
const attachments = (): { phase: string; frontend: string }[] =>
  JSON.parse(readFileSync(join(stateDir(), 'state.json'), 'utf8')).attachments

const mount = (...words: string[]): boolean => spawnSync('mount', words).status === 0

/** Only root mounts, and not in every container. */
function canMount(): boolean {
  const at = mkdtempSync(join(tmpdir(), 'qusb-mount-'))
  try {
    return mount('-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', at) && spawnSync('umount', [at]).status === 0
  } finally {
    rmSync(at, { recursive: true, force: true })
  }
}

/** Mounts a file system over a directory while the work is done. */
async function over(directory: string, words: string[], work: () => Promise<void>): Promise<void> {
  expect(mount(...words, directory)).toBe(true)
  try {
    await work()
  } finally {
    await until('unmounted', () => spawnSync('umount', [directory]).status === 0)
  }
}

/** Writes until nothing more fits. */
function fill(file: string): void {
  const fd = openSync(file, 'w')
  try {
    for (;;) writeSync(fd, Buffer.alloc(1024))
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC')
  } finally {
    closeSync(fd)
  }
}

describe.runIf(canMount())('a disk', () => {
  /** The state directory on a small disk of its own. */
  const onSmallDisk = async (work: (filler: string) => Promise<void>): Promise<void> => {
    await bench.qusb('attach', 'sys-usb', '1-1', 'work')
    await bench.qusb('detach', 'sys-usb', '1-1')
    const kept = join(bench.lab.dir, 'state.json')
    copyFileSync(join(stateDir(), 'state.json'), kept)
    await over(stateDir(), ['-t', 'tmpfs', '-o', 'size=64k,mode=2770', 'tmpfs'], async () => {
      copyFileSync(kept, join(stateDir(), 'state.json'))
      await work(join(stateDir(), 'filler'))
    })
  }

  it('that is full: an attach is refused with nothing done, and what is there is told', async () => {
    await onSmallDisk(async (filler) => {
      fill(filler)
      const ran = await bench.qusb(...ATTACH)
      expect(ran, ran.stderr).toMatchObject({ code: 11, json: { error: { code: 'STORE' } } })
      expect(ran.json.error.message).toContain('ENOSPC')
      expect(grants(bench)).toEqual([])
      expect(await usedPorts(bench, 'work')).toBe(0)
      expect(await bench.device('1-1')).toMatchObject({ state: 'free', attachedTo: null })
    })
  })

  it('that fills up while a device is attached: the next command tells what is, and keeps it', async () => {
    await onSmallDisk(async (filler) => {
      const running = bench.start([...ATTACH], { faultPoint: 'record' })
      await running.said('qusb-fault-point record\n')
      fill(filler)
      running.child.kill('SIGUSR2')
      const ran = await running.done
      expect(ran, ran.stderr).toMatchObject({ code: 11, json: { error: { code: 'STORE' } } })
      expect(grants(bench)).toEqual([])
      const full = await bench.device('1-1')
      rmSync(filler)
      const device = await bench.device('1-1')
      expect(device.attachedTo).toBe(full.attachedTo)
      expect(attachments().map(({ phase, frontend }) => [phase, frontend])).toEqual(
        device.attachedTo === null ? [] : [['attached', 'work']],
      )
      expect(await bench.qusb('detach', 'sys-usb', '1-1')).toMatchObject({ code: 0 })
      await expectClean(bench, '1-1', 'work')
    })
  })

  it('that is mounted read-only: nothing is touched, and the list is right', async () => {
    expect(await bench.qusb(...ATTACH)).toMatchObject({ code: 0 })
    expect(mount('--bind', stateDir(), stateDir())).toBe(true)
    try {
      expect(mount('-o', 'remount,ro,bind', stateDir())).toBe(true)
      const ran = await bench.qusb('detach', 'sys-usb', '1-1', '--json')
      expect(ran, ran.stderr).toMatchObject({ code: 11 })
      expect(await bench.device('1-1')).toMatchObject({ attachedTo: 'work', drift: null })
    } finally {
      await until('unmounted', () => spawnSync('umount', [stateDir()]).status === 0)
    }
    expect(await bench.qusb('detach', 'sys-usb', '1-1', '--json')).toMatchObject({ code: 0 })
    await expectClean(bench, '1-1', 'work')
  })

  it('of policy that is mounted read-only: REFUSED with nothing done', async () => {
    expect(mount('--bind', policyDir(), policyDir())).toBe(true)
    try {
      expect(mount('-o', 'remount,ro,bind', policyDir())).toBe(true)
      const ran = await bench.qusb(...ATTACH)
      expect(ran, ran.stderr).toMatchObject({ code: 6, json: { error: { code: 'REFUSED' } } })
      expect(ran.json.error.message).toContain('cannot write policy')
    } finally {
      await until('unmounted', () => spawnSync('umount', [policyDir()]).status === 0)
    }
    await expectClean(bench, '1-1', 'work')
  })
})

it('a clock that is set back ends no attachment and spoils no store', async () => {
  expect(await bench.qusb(...ATTACH)).toMatchObject({ code: 0 })
  const hook = join(bench.lab.dir, 'clock.cjs')
  writeFileSync(
    hook,
    `const back = 400 * 86400e3, Then = Date
     globalThis.Date = class extends Then { constructor(...words) { words.length ? super(...words) : super(Then.now() - back) }
       static now() { return Then.now() - back } }`,
  )
  const earlier = { env: { NODE_OPTIONS: `--require ${hook}` } }
  const listed = await bench.start(['list', '--json'], earlier).done
  expect(listed.json.warnings).toEqual([])
  expect(listed.json.devices[0]).toMatchObject({ attachedTo: 'work', drift: null })
  const detached = await bench.start(['detach', 'sys-usb', '1-1', '--json'], earlier).done
  expect(detached, detached.stderr).toMatchObject({ code: 0, json: { changed: true } })
  const { json } = await bench.start(['history', '--json'], earlier).done
  expect(
    json.events
      .map((event: { what: string }) => event.what)
      .slice(0, 2)
      .sort(),
  ).toEqual(['attached', 'detached'])
  await expectClean(bench, '1-1', 'work')
})
