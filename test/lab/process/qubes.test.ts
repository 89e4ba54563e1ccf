import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunningLab } from '../../../src/lab/client.ts'
import { attach, eventually, grant, inQube, type LabOfTest, openLabOfTest } from '../lab-fixture.ts'

let test: LabOfTest
let lab: RunningLab

beforeAll(async () => {
  test = await openLabOfTest({
    qubes: [
      { name: 'sys-usb', backend: true },
      { name: 'sys-old', backend: true, publishes: 'two-words', proxy: { backend: false } },
      { name: 'work' },
      { name: 'windows', stubdom: true },
      { name: 'asleep', state: 'paused' },
      { name: 'off', state: 'halted', backend: true },
    ],
    devices: [
      { backend: 'sys-usb', port: '2-1', kind: 'stick', partitions: 1, use: { mounted: '/mnt/my stick' } },
      { backend: 'sys-usb', port: '2-2', kind: 'stick', serial: 'S2', use: { swap: true } },
      { backend: 'sys-usb', port: '2-3', kind: 'stick', serial: 'S3', use: { heldBy: 'dm-3' } },
      { backend: 'sys-usb', port: '2-4', kind: 'stick', serial: 'S4', use: { givenTo: 'work' } },
      { backend: 'sys-usb', port: '1-3', kind: 'keyboard', use: { typesInDom0: true } },
      { backend: 'sys-usb', port: '1-4.1', kind: 'webcam' },
      { backend: 'sys-usb', port: '1-6', kind: 'security-key', hidden: true },
      { backend: 'sys-usb', port: '1-7', kind: 'thermometer', authorized: false },
      { backend: 'sys-old', port: '1-1', kind: 'security-key' },
      { backend: 'off', port: '1-1', kind: 'thermometer' },
    ],
  })
  lab = test.lab
})
afterAll(() => test?.close())

const root = (path: string, qube = 'sys-usb') => join(lab.dir, 'qubes', qube, path)
const read = (path: string, qube = 'sys-usb') => readFileSync(root(path, qube), 'utf8')

describe('sysfs of a backend', () => {
  it.each([
    ['2-1', 'devices/pci0000:00/0000:00:14.0/usb2/2-1'],
    ['2-1:1.0', 'devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0'],
    ['1-4.1', 'devices/pci0000:00/0000:00:14.0/usb1/1-4/1-4.1'],
    ['usb1', 'devices/pci0000:00/0000:00:14.0/usb1'],
  ])('%s is a link', (name, target) => {
    expect(readlinkSync(root(`sys/bus/usb/devices/${name}`))).toBe(`../../../${target}`)
    expect(existsSync(root(`sys/bus/usb/devices/${name}/uevent`)) || name !== '2-1').toBe(true)
  })

  it('shows attributes as the kernel does', () => {
    const of = (name: string) => read(`sys/bus/usb/devices/2-2/${name}`)
    expect([
      of('idVendor'),
      of('speed'),
      of('busnum'),
      of('serial'),
      of('devpath'),
      of('bNumInterfaces'),
    ]).toEqual(['0951\n', '5000\n', '2\n', 'S2\n', '2\n', ' 1\n'])
    expect(readFileSync(root('sys/bus/usb/devices/2-2/descriptors'))[0]).toBe(18)
    expect(read('sys/bus/usb/devices/2-2:1.0/bInterfaceClass')).toBe('08\n')
    expect(realpathSync(root('sys/bus/usb/devices/2-2/driver'))).toBe(
      realpathSync(root('sys/bus/usb/drivers/usb')),
    )
  })

  it('leads from a disk to its device', () => {
    expect(realpathSync(root('sys/class/block/sda'))).toContain('/usb2/2-1/2-1:1.0/host')
    expect(read('sys/class/block/sda/dev')).toBe('8:0\n')
    expect(read('sys/class/block/sda1/dev')).toBe('8:1\n')
  })

  it('shows what is in use', () => {
    expect(read('proc/mounts')).toContain('/dev/sda1 /mnt/my\\040stick ')
    expect(read('proc/swaps')).toMatch(/^\/dev\/sdb /m)
    expect(existsSync(root('sys/class/block/sdc/holders/dm-3'))).toBe(true)
    const work = 4
    expect(read(`sys/bus/xen-backend/devices/vbd-${work - 1}-51744/physical_device`)).toBe('8:30\n')
  })

  it('runs an input sender for the keyboard of dom0 only', () => {
    expect(realpathSync(root('sys/class/input/event3/device'))).toContain('/usb1/1-3/1-3:1.0/')
    const slice = 'sys/fs/cgroup/system.slice/system-qubes\\x2dinput\\x2dsender\\x2dkeyboard.slice'
    const procs = read(`${slice}/qubes-input-sender-keyboard@event3.service/cgroup.procs`)
    expect(existsSync(`/proc/${procs.trim()}`)).toBe(true)
    expect(existsSync(root(`${slice}/qubes-input-sender-keyboard@event4.service`))).toBe(false)
  })

  it('has no interfaces for a device that is not let in, and publishes no hidden one', async () => {
    expect(existsSync(root('sys/bus/usb/devices/1-7:1.0'))).toBe(false)
    const published = await inQube(lab, 'sys-usb', 'qubesdb-multiread -f /qubes-usb-devices/')
    expect(published).not.toContain('/1-6/')
    expect(published).not.toContain('/1-4/')
    expect(published).toContain('/qubes-usb-devices/1-4_1/desc = 046d:0825 046d Webcam\\x20C270 \n')
    expect(published).toContain('/qubes-usb-devices/2-2/interfaces = :080650:')
    expect(await inQube(lab, 'sys-usb', 'qubesdb-read /name')).toBe('sys-usb')
    const both = await inQube(lab, 'sys-usb', 'qubesdb-multiread -f /name /qubes-usb-devices/')
    expect(both).toBe(`/name = sys-usb\n${published}`)
    expect(await inQube(lab, 'sys-usb', 'qubesdb-multiread /name')).toBe(' = sys-usb')
    const short = await inQube(lab, 'sys-usb', 'qubesdb-multiread /qubes-usb-devices/')
    expect(short).toBe(published.replace(/^\/qubes-usb-devices\//gm, ''))
  })

  it('publishes two words where it is old', async () => {
    const published = await inQube(lab, 'sys-old', 'qubesdb-multiread -f /qubes-usb-devices/')
    expect(published.split('\n')).toHaveLength(2)
    expect(published).toMatch(/^\/qubes-usb-devices\/1-1\/desc = 1050:0407 Yubico_\S+$/m)
  })
})

describe('states', () => {
  it('a paused qube does not answer, and goes on when it is not paused any more', async () => {
    const pending = lab.call('asleep', 'root:echo awake', '', ['-w', '1'])
    expect((await pending).code).toBe(125)
    await lab.fault('pause', 'asleep', { off: true })
    expect((await lab.call('asleep', 'root:echo awake')).stdout.toString()).toBe('awake\n')
  })

  it('a restart gives a new domain id', async () => {
    const domid = async () => (await lab.status()).qubes.find(({ name }) => name === 'sys-old')?.domid ?? 0
    const before = await domid()
    await lab.fault('restart', 'sys-old')
    expect(await domid()).toBeGreaterThan(before)
    expect(readlinkSync(join(lab.dir, 'dom0/run/qubes/qrexec.sys-old'))).toBe(`qrexec.${await domid()}`)
    expect((await lab.status()).devices.filter(({ backend }) => backend === 'sys-old')).toHaveLength(1)
  })

  it('an attach starts a halted backend unless the line says otherwise', async () => {
    grant(lab, 'work', '1-1', 'off')
    const call = () => lab.call('work', 'root:QUBESRPC qubes.USBAttach dom0', 'off 1-1\n')
    expect((await call()).code).toBe(126)
    writeFileSync(grant(lab, 'work', '1-1', 'off'), 'qubes.USB +1-1 work off allow user=root\n')
    expect((await call()).code).toBe(0)
  })
})

describe('the end of a qube', () => {
  it('is the end of what it has left in the background', async () => {
    const script = root('rw/config/rc.local.d/50-left.rc', 'sys-old')
    mkdirSync(dirname(script), { recursive: true })
    writeFileSync(script, '#!/bin/sh\nsleep 120 &\necho $! >"$QUSB_ROOT/run/left.pid"\n', { mode: 0o755 })
    await lab.fault('restart', 'sys-old')
    rmSync(script)
    const left = `/proc/${read('run/left.pid', 'sys-old').trim()}`
    expect(existsSync(left)).toBe(true)
    await lab.fault('restart', 'sys-old')
    await eventually(
      () => existsSync(left),
      (runs) => !runs,
    )
  })
})

describe('a stub domain', () => {
  it('attaches by its own name, and the backend says the name of its qube', async () => {
    expect((await attach(lab, '1-4.1', 'windows')).code).toBe(127)
    grant(lab, 'windows', '1-4.1')
    const refused = await lab.call('windows-dm', 'root:QUBESRPC qubes.USBAttach dom0', 'sys-usb 1-4.1\n')
    expect(refused.code).toBe(126)
    expect((await attach(lab, '1-4.1', 'windows-dm')).code).toBe(0)
    const { attachedTo } = (await lab.status()).devices.find(({ port }) => port === '1-4.1') ?? {}
    expect(attachedTo).toBe('windows')
    expect((await lab.call('windows-dm', 'root:QUBESRPC qubes.VMShell dom0')).code).toBe(127)
    expect((await lab.call('windows-dm', 'root:QUBESRPC qubes.USBDetach dom0')).code).toBe(127)
  })
})

describe('links', () => {
  it('a closed link makes the read fail', async () => {
    await attach(lab, '2-2', 'work')
    expect((await lab.exec('work', ['lab-read', 'sda', '0', '1'])).code).toBe(0)
    await lab.fault('link-closed', 'sys-usb')
    await eventually(
      () => lab.exec('work', ['lab-read', 'sda', '0', '1']),
      (result) => result.code === 1 && result.stdout.length === 0,
    )
    await eventually(
      () =>
        inQube(lab, 'sys-usb', 'qubesdb-read /qubes-usb-devices/2-2/connected-to 2>/dev/null || echo none'),
      (name) => name === 'none',
    )
  })

  it('a stalled link makes it wait until it is mended', async () => {
    await attach(lab, '2-2', 'work')
    await lab.fault('link-stalled', 'sys-usb')
    let done = false
    const pending = lab.exec('work', ['lab-read', 'sda', '0', '8']).then((result) => {
      done = true
      return result
    })
    // A read takes a few milliseconds; other calls go on meanwhile.
    for (let round = 0; round < 5; round++) expect((await lab.call('work', 'root:true')).code).toBe(0)
    expect(done).toBe(false)
    await lab.fault('link-stalled', 'sys-usb', { off: true })
    expect((await pending).stdout.length).toBe(8 * 512)
  })

  it('a killed frontend releases the device', async () => {
    await attach(lab, '2-3', 'work')
    await lab.fault('killed', 'work')
    await eventually(
      () => inQube(lab, 'sys-usb', 'cat $QUSB_ROOT/sys/bus/usb/devices/2-3/usbip_status'),
      (status) => status === '1',
    )
    await lab.fault('start', 'work')
    expect(existsSync(root('run/qubes/usb-import-sys-usb-2-3.state', 'work'))).toBe(false)
  })

  it('a killed backend frees the port in the frontend, and has its devices again when it starts', async () => {
    await attach(lab, '2-2', 'work')
    await lab.fault('killed', 'sys-usb')
    await eventually(
      () => read('sys/devices/platform/vhci_hcd.0/status', 'work'),
      (status) => !status.includes(' 006 '),
    )
    await lab.fault('start', 'sys-usb')
    const devices = (await lab.status()).devices.filter(({ backend }) => backend === 'sys-usb')
    expect(devices.every(({ driver }) => driver === 'usb')).toBe(true)
    expect(devices).toHaveLength(8)
  })
})

describe('answers', () => {
  it('come late, or from whoever took the shell over', async () => {
    await lab.fault('late-answer', 'sys-old', { value: '0.5' })
    const begun = Date.now()
    await lab.call('sys-old', 'DEFAULT:QUBESRPC qubes.VMShell dom0', 'true\n')
    expect(Date.now() - begun).toBeGreaterThan(450)
    await lab.fault('late-answer', 'sys-old', { off: true })
    await lab.fault('hostile-answer', 'sys-old', { value: 'echo pwned; exit 9' })
    const hostile = await lab.call('sys-old', 'DEFAULT:QUBESRPC qubes.VMShell dom0', 'echo honest\n')
    expect([hostile.code, hostile.stdout.toString()]).toEqual([9, 'pwned\n'])
    await lab.fault('hostile-answer', 'sys-old', { off: true })
    const honest = await lab.call('sys-old', 'DEFAULT:QUBESRPC qubes.VMShell dom0', 'echo honest\n')
    expect([honest.code, honest.stdout.toString()]).toEqual([0, 'honest\n'])
  })
})
