import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { RunningLab } from '../../../src/lab/client.ts'
import {
  attach,
  detachBackend,
  detachFrontend,
  eventually,
  grant,
  inQube,
  type LabOfTest,
  openLabOfTest,
} from '../lab-fixture.ts'

let test: LabOfTest
let lab: RunningLab

beforeAll(async () => {
  test = await openLabOfTest({
    qubes: [
      { name: 'sys-usb', backend: true },
      { name: 'sys-usb-late', backend: true, exportLookSeconds: 60 },
      { name: 'work' },
      { name: 'vault' },
    ],
    devices: [
      { backend: 'sys-usb-late', port: '2-3', kind: 'stick' },
      { backend: 'sys-usb', port: '2-1', kind: 'stick', serial: 'ONE' },
      { backend: 'sys-usb', port: '2-2', kind: 'stick', serial: 'TWO' },
      { backend: 'sys-usb', port: '1-4.1', kind: 'webcam' },
      { backend: 'sys-usb', port: '1-4.2', kind: 'webcam' },
      { backend: 'sys-usb', port: '1-5', kind: 'thermometer', temperature: 23.25 },
    ],
  })
  lab = test.lab
})
afterEach(cleanUp)
afterAll(() => test?.close())

/** Faults off, everything detached on both sides, no state file, no grant. */
async function cleanUp(): Promise<void> {
  for (const { name, qube } of (await lab.status()).faults) await lab.fault(name, qube, { off: true })
  for (const qube of ['work', 'vault']) {
    const run = root(qube, 'run/qubes')
    for (const file of readdirSync(run)) rmSync(join(run, file))
  }
  const isClean = (await lab.status()).devices.every(
    ({ driver, attachedTo }) => driver === 'usb' && attachedTo === null,
  )
  if (!isClean) for (const qube of ['work', 'vault', 'sys-usb']) await lab.fault('restart', qube)
  const policy = join(lab.dir, 'dom0/run/qubes/policy.d')
  for (const file of readdirSync(policy)) rmSync(join(policy, file))
}

const root = (qube: string, path: string) => join(lab.dir, 'qubes', qube, path)
const stateFile = (port: string, qube = 'work') => root(qube, `run/qubes/usb-import-sys-usb-${port}.state`)
const connectedTo = async (port: string, backend = 'sys-usb') =>
  (
    await lab.exec(backend, ['qubesdb-read', `/qubes-usb-devices/${port.replaceAll('.', '_')}/connected-to`])
  ).stdout
    .toString('utf8')
    .trim()
const driverOf = async (port: string) =>
  (await lab.status()).devices.find((device) => device.port === port)?.driver
const usedPorts = (qube = 'work') =>
  readFileSync(root(qube, 'sys/devices/platform/vhci_hcd.0/status'), 'utf8')
    .split('\n')
    .filter((row) => / 006 /.test(row)).length

describe('an attach', () => {
  it('moves a stick, which the frontend then reads as it is', async () => {
    expect(await attach(lab, '2-1', 'work')).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(stateFile('2-1'), 'utf8')).toBe('8\n')
    expect(await connectedTo('2-1')).toBe('work')
    expect(await driverOf('2-1')).toBe('usbip-host')
    const image = readFileSync((await lab.status()).devices.find(({ port }) => port === '2-1')?.image ?? '')
    const read = await lab.exec('work', ['lab-read', 'sda', '7', '300'])
    expect(read.code).toBe(0)
    expect(read.stdout.equals(image.subarray(7 * 512, 307 * 512))).toBe(true)
    expect(await inQube(lab, 'work', 'cat $QUSB_ROOT/sys/bus/usb/devices/2-1/serial')).toBe('ONE')
    expect(await inQube(lab, 'sys-usb', 'ls $QUSB_ROOT/sys/class/block')).toBe('sdb')
  })

  it('takes a thermometer, which answers there', async () => {
    expect((await attach(lab, '1-5', 'vault')).code).toBe(0)
    expect(await inQube(lab, 'vault', 'lab-temperature')).toBe('23.25')
  })

  it('takes 0xVVVV.0xPPPP of exactly one device', async () => {
    expect((await attach(lab, '0x08f7.0x0002', 'work')).code).toBe(0)
    expect(await connectedTo('1-5')).toBe('work')
    expect(existsSync(stateFile('0x08f7.0x0002'))).toBe(true)
  })
})

describe('failures of an attach', () => {
  it.each([
    [
      'policy refuses',
      async () => lab.call('work', 'root:QUBESRPC qubes.USBAttach dom0', 'sys-usb 2-1\n'),
      126,
      '',
    ],
    [
      'unknown backend',
      async () => lab.call('work', 'root:QUBESRPC qubes.USBAttach dom0', 'sys-x 2-1\n'),
      126,
      '',
    ],
    ['no such port', () => attach(lab, '2-9', 'work'), 1, ''],
    ['an interface', () => attach(lab, '1-5:1.0', 'work'), 126, ''],
    ['two devices by their ids', () => attach(lab, '0x046d.0x0825', 'work'), 1, ''],
    ['empty stdin', () => lab.call('work', 'root:QUBESRPC qubes.USBAttach dom0', ''), 1, ''],
    ['no newline', () => lab.call('work', 'root:QUBESRPC qubes.USBAttach dom0', 'sys-usb 2-1'), 1, ''],
    ['not root', () => lab.call('work', 'user:QUBESRPC qubes.USBAttach dom0', 'sys-usb 2-1\n'), 1, ''],
    [
      'no proxy in the frontend',
      async () => {
        await lab.fault('service-missing', 'work')
        return attach(lab, '2-1', 'work')
      },
      127,
      '',
    ],
    [
      'no proxy in the backend',
      async () => {
        await lab.fault('service-missing', 'sys-usb')
        return attach(lab, '2-1', 'work')
      },
      1,
      'No device info received, connection failed, check backend side for details\n',
    ],
    [
      'no free port',
      async () => {
        await lab.fault('no-free-port', 'work')
        return attach(lab, '2-1', 'work')
      },
      1,
      'No unused port found!\n',
    ],
    [
      'a policy that refuses whatever is granted',
      async () => {
        await lab.fault('policy-refuses')
        return attach(lab, '2-1', 'work')
      },
      126,
      '',
    ],
    [
      'attached elsewhere',
      async () => {
        await attach(lab, '2-1', 'vault')
        return attach(lab, '2-1', 'work')
      },
      1,
      '',
    ],
  ])('%s', async (_, act, code, stderr) => {
    const result = await act()
    expect([result.code, result.stderr]).toEqual([code, stderr])
    expect(existsSync(stateFile('2-1'))).toBe(false)
  })

  it('gives one of two attaches of one device', async () => {
    grant(lab, 'work', '2-1')
    grant(lab, 'vault', '2-1')
    const results = await Promise.all([attach(lab, '2-1', 'work'), attach(lab, '2-1', 'vault')])
    expect(results.map(({ code }) => code).sort()).toEqual([0, 1])
    // Silent; but one that comes between the other's look at the device and its hand-over has a dead socket, and its
    // import waits in vain. By then its port may be free already, so that it cannot free it.
    const loser = results.find(({ code }) => code === 1)
    expect(loser?.stderr).toMatch(
      /^((\S*\/usb-import: .*echo: I\/O error\n)?Attach timeout, check kernel log for details\.\n)?$/,
    )
    expect(results.find(({ code }) => code === 0)?.stderr).toBe('')
  })

  it('times out when the device is yanked during it', async () => {
    await lab.fault('yank-during-attach', 'sys-usb')
    const result = await attach(lab, '2-1', 'work')
    expect([result.code, result.stderr.split('\n').at(-2)]).toEqual([
      1,
      'Attach timeout, check kernel log for details.',
    ])
    expect(usedPorts()).toBe(0)
    expect((await lab.status()).devices.some(({ port }) => port === '2-1')).toBe(false)
    await lab.plug({ backend: 'sys-usb', kind: 'stick', port: '2-1', serial: 'ONE' })
  })
})

describe('flaws that the real proxy has', () => {
  it('a detach at the frontend leaves the device on usbip-host, and the backend then cannot detach', async () => {
    await attach(lab, '2-1', 'work')
    expect(await detachFrontend(lab, '2-1', 'work')).toMatchObject({ code: 0 })
    expect(existsSync(stateFile('2-1'))).toBe(false)
    expect(usedPorts()).toBe(0)
    // At once, while the backend still names the frontend: a second later it would not find the device.
    const right = await detachBackend(lab, '2-1')
    expect(right.code).toBe(1)
    expect(right.stderr).toMatch(/I\/O error\n$/)
    expect(await driverOf('2-1')).toBe('usbip-host')
    // An attach works again all the same.
    await eventually(
      () => connectedTo('2-1'),
      (name) => name === '',
    )
    expect((await attach(lab, '2-1', 'vault')).code).toBe(0)
  })

  it('a detach at the backend gives the device back, and leaves the state file in the frontend', async () => {
    await attach(lab, '2-1', 'work')
    expect(await detachBackend(lab, '2-1')).toMatchObject({ code: 0 })
    expect(await driverOf('2-1')).toBe('usb')
    await eventually(usedPorts, (count) => count === 0)
    expect(existsSync(stateFile('2-1'))).toBe(true)
    const again = await detachFrontend(lab, '2-1', 'work')
    expect(again.code).toBe(1)
    expect(again.stderr).toMatch(/I\/O error\n$/)
  })

  it('a stale state file frees the port of another device', async () => {
    await attach(lab, '2-1', 'work')
    await detachBackend(lab, '2-1')
    await eventually(usedPorts, (count) => count === 0)
    await attach(lab, '2-2', 'work')
    expect(readFileSync(stateFile('2-2'), 'utf8')).toBe(readFileSync(stateFile('2-1'), 'utf8'))
    expect((await detachFrontend(lab, '2-1', 'work')).code).toBe(0)
    expect(usedPorts()).toBe(0)
    await eventually(
      () => connectedTo('2-2'),
      (name) => name === '',
    )
  })

  it('connected-to clears late: the exporter looks once a second', async () => {
    const begun = Date.now()
    await attach(lab, '2-1', 'work')
    await detachFrontend(lab, '2-1', 'work')
    expect(await connectedTo('2-1')).toBe('work')
    await eventually(
      () => connectedTo('2-1'),
      (name) => name === '',
    )
    expect(Date.now() - begun).toBeGreaterThan(1000)
  })

  it('the exporter looks as often as the lab file says', async () => {
    await attach(lab, '2-3', 'work', 'sys-usb-late')
    await detachFrontend(lab, '2-3', 'work', 'sys-usb-late')
    await wait(1500)
    expect(await connectedTo('2-3', 'sys-usb-late')).toBe('work')
    await lab.fault('restart', 'sys-usb-late')
  })

  it.each([
    ['backend', () => detachBackend(lab, '2-1')],
    ['frontend', () => detachFrontend(lab, '2-1', 'work')],
  ])('a detach at the %s of what is not attached fails', async (_, detach) => {
    const result = await detach()
    expect([result.code, result.stderr]).toEqual([1, 'Device 2-1 not found or not attached to any VM!\n'])
  })

  it('an unplug leaves the state file', async () => {
    await attach(lab, '2-1', 'work')
    await lab.unplug('sys-usb', '2-1')
    await eventually(usedPorts, (count) => count === 0)
    expect(existsSync(stateFile('2-1'))).toBe(true)
    await lab.plug({ backend: 'sys-usb', kind: 'stick', port: '2-1', serial: 'ONE' })
    expect(await driverOf('2-1')).toBe('usb')
  })

  it('an import outlives its client and its grant, until exactly its processes are killed', async () => {
    await lab.fault('attach-hangs', 'sys-usb')
    const file = grant(lab, 'work', '2-1')
    const client = join(lab.dir, 'dom0/bin/qrexec-client')
    const child = spawn(client, ['-d', 'work', 'root:QUBESRPC qubes.USBAttach dom0'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    child.stdin.write('sys-usb 2-1\n')
    const find =
      'for p in "$QUSB_ROOT"/proc/[0-9]*; do tr "\\0" " " <"$p/cmdline" 2>/dev/null; echo " $(basename "$p")"; done' +
      ' | grep -E "(qrexec-client-vm sys-usb qubes[.]USB[+]2-1|usb-import sys-usb 2-1) " || :'
    const lines = await eventually(
      () => inQube(lab, 'work', find),
      (said) => said.split('\n').length === 2,
    )
    child.kill('SIGKILL')
    child.stdin.destroy()
    rmSync(file)
    await wait(600)
    expect(await inQube(lab, 'work', find)).toBe(lines)
    const pids = lines.split('\n').map((line) => line.trim().split(' ').at(-1))
    await inQube(lab, 'work', `kill ${pids.join(' ')}`)
    await eventually(
      () => inQube(lab, 'work', find),
      (said) => said === '',
    )
  })

  it('an attach that is slow is done although client and grant are gone', async () => {
    await lab.fault('slow-attach', 'sys-usb', { value: '0.8' })
    const file = grant(lab, 'work', '2-1')
    const before = readFileSync(join(lab.dir, 'log'), 'utf8').length
    const child = spawn(
      join(lab.dir, 'dom0/bin/qrexec-client'),
      ['-d', 'work', 'root:QUBESRPC qubes.USBAttach dom0'],
      {
        stdio: ['pipe', 'ignore', 'ignore'],
      },
    )
    child.stdin.end('sys-usb 2-1\n')
    await eventually(
      () => readFileSync(join(lab.dir, 'log'), 'utf8'),
      (log) => log.slice(before).includes('allow by'),
    )
    child.kill('SIGKILL')
    rmSync(file)
    await eventually(
      () => connectedTo('2-1'),
      (name) => name === 'work',
    )
    await eventually(usedPorts, (count) => count === 1)
  })

  it('an old proxy leaves the device on usbip-host after a detach at the backend', async () => {
    mkdirSync(root('sys-usb', 'etc/qubes'), { recursive: true })
    writeFileSync(root('sys-usb', 'etc/qubes/usb-leave-on-usbip-host'), '')
    await attach(lab, '2-1', 'work')
    expect((await detachBackend(lab, '2-1')).code).toBe(0)
    expect(await driverOf('2-1')).toBe('usbip-host')
  })
})

describe('writes by a root shell', () => {
  it('gives a device back with unbind and bind, as plain echoes', async () => {
    await attach(lab, '2-1', 'work')
    await inQube(
      lab,
      'sys-usb',
      'cd $QUSB_ROOT/sys/bus/usb/drivers; echo 2-1 > usbip-host/unbind; echo 2-1 > usb/bind',
    )
    await eventually(
      () => driverOf('2-1'),
      (driver) => driver === 'usb',
    )
    await eventually(usedPorts, (count) => count === 0)
    const read = await lab.exec('sys-usb', ['lab-read', 'sda', '0', '1'])
    expect(read.stdout.length).toBe(512)
  })

  it('closes an export with -1 into usbip_sockfd', async () => {
    await attach(lab, '2-1', 'work')
    await inQube(lab, 'sys-usb', 'echo -1 > $QUSB_ROOT/sys/bus/usb/devices/2-1/usbip_sockfd')
    await eventually(usedPorts, (count) => count === 0)
    expect(await inQube(lab, 'sys-usb', 'cat $QUSB_ROOT/sys/bus/usb/devices/2-1/usbip_status')).toBe('1')
    expect(await driverOf('2-1')).toBe('usbip-host')
  })

  it('frees a port with vhci detach', async () => {
    await attach(lab, '1-5', 'work')
    await inQube(lab, 'work', 'echo 0 > $QUSB_ROOT/sys/devices/platform/vhci_hcd.0/detach')
    await eventually(usedPorts, (count) => count === 0)
  })
})
