import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LabFileText } from '../../src/lab/file/schema.ts'
import { type Bench, startBench, until } from './program.ts'

const FILE: LabFileText = {
  qubes: [
    { name: 'debian', class: 'TemplateVM', state: 'halted' },
    { name: 'dvm', template: 'debian', state: 'halted' },
    { name: 'sys-usb', backend: true, template: 'debian' },
    { name: 'sys-usb-2', backend: true, class: 'DispVM', template: 'dvm' },
    { name: 'sys-usb-3', backend: true, template: 'debian' },
    { name: 'disp1', class: 'DispVM', template: 'dvm' },
    { name: 'work' },
  ],
}

describe('setup backend', () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await startBench(FILE)
  })
  afterAll(async () => await bench?.end())

  const setUp = async (...args: string[]) => await bench.qusb('setup', ...args, '--group', 'root', '--json')
  const policy = () => readFileSync(join(bench.lab.dir, 'dom0/etc/qubes/policy.d/30-qusb.policy'), 'utf8')
  /** Calls that have reached dom0 from this qube, by the lab's own log. */
  const calls = (qube: string): number =>
    readFileSync(join(bench.lab.dir, 'log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes(`${qube} -> dom0 qusb.Plugged: allow`)).length
  /** Plugs a device in, and waits until the qube has said so. */
  const expectCall = async (qube: string, port: string): Promise<void> => {
    const before = calls(qube)
    await bench.lab.plug({ backend: qube, port, kind: 'thermometer', serial: `${qube}-${port}` })
    await until(`${qube} calls`, () => calls(qube) > before)
    await bench.lab.unplug(qube, port)
  }

  it('shows every file beforehand, and does nothing then', async () => {
    const { code, json } = await setUp('backend', 'sys-usb', '--dry-run')
    expect(code).toBe(0)
    expect(json.changed).toBe(false)
    expect(json.files.map((file: { path: string }) => file.path)).toEqual([
      '/rw/config/qusb/99-zz-qusb.rules',
      '/rw/config/qusb/qusb-notify.path',
      '/rw/config/qusb/qusb-notify.service',
      '/rw/config/rc.local.d/50-qusb.rc',
    ])
    expect(json.files[0].content).toContain('RUN+="/usr/bin/touch /run/qusb/dirty"')
    expect(await bench.inQube('sys-usb', 'ls "$QUSB_ROOT/rw" 2>/dev/null || echo none')).toBe('none')
    expect(readdirSync(join(bench.lab.dir, 'dom0/etc/qubes/policy.d'))).toEqual([])
  })

  it('installs in an AppVM, counts at once and after a restart; twice is once', async () => {
    expect(await setUp('backend', 'sys-usb')).toMatchObject({ code: 0, json: { changed: true } })
    expect(policy()).toContain('qusb.Plugged  +  sys-usb  @adminvm  allow\n')
    await expectCall('sys-usb', '1-1')
    expect(await setUp('backend', 'sys-usb')).toMatchObject({ code: 0, json: { changed: false } })
    await bench.lab.fault('restart', 'sys-usb')
    await expectCall('sys-usb', '1-1')
    expect(await setUp('backend', 'sys-usb')).toMatchObject({ code: 0, json: { changed: false } })
  })

  it('installs for a disposable in its disposable template, which is started for it and shut down again', async () => {
    expect(await setUp('backend', 'sys-usb-2')).toMatchObject({ code: 0, json: { changed: true } })
    expect((await bench.lab.status()).qubes.find(({ name }) => name === 'dvm')?.state).toBe('halted')
    expect(policy()).toContain('qusb.Plugged  +  sys-usb  @adminvm  allow\n')
    expect(policy()).toContain('qusb.Plugged  +  sys-usb-2  @adminvm  allow\n')
    await expectCall('sys-usb-2', '1-1')
    await bench.lab.fault('restart', 'sys-usb-2')
    await expectCall('sys-usb-2', '1-1')
    // The template serves others, which have no business with it.
    await bench.lab.fault('restart', 'disp1')
    expect(await bench.inQube('disp1', 'ls "$QUSB_ROOT/run/udev" 2>/dev/null || echo none')).toBe('none')
    expect(await setUp('backend', 'sys-usb-2')).toMatchObject({ code: 0, json: { changed: false } })
  })

  it('installs in a template, for this USB qube alone', async () => {
    const { code, json } = await setUp('backend', 'sys-usb-3', '--in', 'debian')
    expect({ code, changed: json.changed }).toEqual({ code: 0, changed: true })
    await expectCall('sys-usb-3', '1-1')
    await bench.lab.fault('restart', 'sys-usb-3')
    await expectCall('sys-usb-3', '1-1')
    await bench.lab.fault('restart', 'work')
    expect(await setUp('backend', 'sys-usb-3', '--in', 'debian')).toMatchObject({
      code: 0,
      json: { changed: false },
    })
  })

  it('replaces nothing that is not its own', async () => {
    await bench.inQube('sys-usb', 'echo "# mine" >>"$QUSB_ROOT/rw/config/rc.local.d/50-qusb.rc"')
    expect(await setUp('backend', 'sys-usb')).toMatchObject({ code: 6, json: { error: { code: 'REFUSED' } } })
  })

  it('takes out what is unchanged, and names what is not', async () => {
    const one = await setUp('remove', 'sys-usb')
    expect(one).toMatchObject({ code: 0, json: { changed: true } })
    expect(one.json.done).toContainEqual(
      expect.objectContaining({ path: 'sys-usb:/rw/config/rc.local.d/50-qusb.rc', action: 'left' }),
    )
    expect(one.json.done).toContainEqual(
      expect.objectContaining({ path: 'sys-usb:/rw/config/qusb/99-zz-qusb.rules', action: 'removed' }),
    )
    expect(policy()).not.toContain('sys-usb  @adminvm')
    expect(policy()).toContain('sys-usb-2  @adminvm')
    expect(await setUp('remove', 'sys-usb')).toMatchObject({ code: 3 })

    const link = join(bench.lab.dir, 'dom0/etc/qubes-rpc')
    const unit = join(bench.lab.dir, 'dom0/etc/systemd/system/qusb-watch@.service')
    writeFileSync(unit, '# mine\n')
    const all = await setUp('remove')
    expect(all).toMatchObject({ code: 0, json: { changed: true } })
    expect(all.json.done).toContainEqual(expect.objectContaining({ path: unit, action: 'left' }))
    expect(readdirSync(link).filter((name) => name.startsWith('qusb'))).toEqual([])
    expect(readdirSync(join(bench.lab.dir, 'dom0/etc/qubes/policy.d'))).toEqual([])
    for (const qube of ['sys-usb-2', 'sys-usb-3']) {
      await bench.lab.fault('restart', qube)
      const left = await bench.inQube(
        qube,
        'cd "$QUSB_ROOT" && find rw etc/udev etc/systemd run -name "*qusb*" 2>/dev/null || true',
      )
      expect(left, qube).toBe('')
    }
    expect(await setUp('remove')).toMatchObject({ code: 0, json: { changed: false } })
  })

  it('says what is wrong', async () => {
    expect(await setUp('backend', 'nobody')).toMatchObject({ code: 3 })
    expect(await setUp('backend', 'debian')).toMatchObject({ code: 2 })
    expect(await setUp('backend', 'dvm')).toMatchObject({ code: 7 })
    expect(await setUp('backend', 'sys-usb', '--in', 'work')).toMatchObject({ code: 2 })
  })
})

describe('setup backend of a standalone', () => {
  it('installs in its own root, counts at once, and is taken out again', async () => {
    const bench = await startBench({
      qubes: [{ name: 'sys-usb', backend: true, class: 'StandaloneVM' }, { name: 'work' }],
    })
    const isThere = async () =>
      await bench.inQube('sys-usb', 'ls "$QUSB_ROOT/etc/udev/rules.d" | grep qusb || true')
    const calls = () => readFileSync(join(bench.lab.dir, 'log'), 'utf8').split('qusb.Plugged: allow').length
    try {
      const made = await bench.qusb('setup', 'backend', 'sys-usb', '--group', 'root', '--json')
      expect(made, made.stderr).toMatchObject({ code: 0, json: { changed: true } })
      expect(await isThere()).toBe('99-zz-qusb.rules')
      const before = calls()
      await bench.lab.plug({ backend: 'sys-usb', port: '1-1', kind: 'thermometer' })
      await until('it calls', () => calls() > before)
      expect(await bench.qusb('setup', 'remove', 'sys-usb', '--group', 'root')).toMatchObject({ code: 0 })
      expect(await isThere()).toBe('')
    } finally {
      await bench.end()
    }
  })
})

describe('setup backend without qubesd', () => {
  it('takes the USB qube for an AppVM, and sees that custom-persist keeps /rw/config from running', async () => {
    const bench = await startBench({
      qubesd: 'none',
      qubes: [
        { name: 'sys-usb', backend: true },
        { name: 'sys-usb-2', backend: true, services: ['custom-persist'] },
      ],
    })
    try {
      const setUp = async (...args: string[]) =>
        await bench.qusb('setup', 'backend', ...args, '--group', 'root', '--json')
      expect(await setUp('sys-usb')).toMatchObject({ code: 0, json: { changed: true } })
      expect(await setUp('sys-usb-2')).toMatchObject({
        code: 6,
        json: { error: { hint: expect.stringContaining('--in') } },
      })
      await bench.lab.fault('halt', 'sys-usb')
      expect(await setUp('sys-usb')).toMatchObject({ code: 7 })
    } finally {
      await bench.end()
    }
  })
})
