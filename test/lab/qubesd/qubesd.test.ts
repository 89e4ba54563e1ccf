import { existsSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { attach, detachBackend, type LabOfTest, openLabOfTest } from '../lab-fixture.ts'

let newer: LabOfTest
let older: LabOfTest

const FILE = {
  qubes: [
    { name: 'sys-usb', backend: true },
    { name: 'usb-off', backend: true, state: 'halted' as const },
    { name: 'work', denied: ['u0e****'] },
    { name: 'halted', state: 'halted' as const },
    { name: 'disp7', class: 'DispVM' as const, state: 'paused' as const },
  ],
  devices: [
    { backend: 'sys-usb', port: '2-1', kind: 'stick', serial: "it's+a' port_id='2-9" },
    { backend: 'sys-usb', port: '1-2', kind: 'webcam' },
    { backend: 'sys-usb', port: '1-3', kind: 'thermometer', hidden: true },
  ],
  assignments: [{ frontend: 'work', backend: 'sys-usb', port: '1-2', mode: 'ask-to-attach' as const }],
}

beforeAll(async () => {
  ;[newer, older] = await Promise.all([openLabOfTest(FILE), openLabOfTest({ ...FILE, qubesd: '4.2' })])
})
afterAll(async () => {
  await newer?.close()
  await older?.close()
})

const socketOf = ({ lab }: LabOfTest): string => join(lab.dir, 'dom0/run/qubes/qubesd.sock')

/** One request, byte for byte; all that comes back. */
function ask(of: LabOfTest, head: string, payload = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketOf(of), allowHalfOpen: true })
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      text += chunk
    })
    socket.on('end', () => socket.end(() => resolve(text)))
    socket.on('error', reject)
    socket.end(`${head}\0${payload}`)
  })
}

/** Listens to the events of a lab; `until` waits for one. */
async function listen(of: LabOfTest) {
  const socket = connect(socketOf(of))
  let text = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    text += chunk
  })
  socket.on('error', () => {})
  socket.end('admin.Events+ dom0 name dom0\0')
  const until = async (what: string): Promise<void> => {
    for (const deadline = Date.now() + 10_000; !text.includes(what); await wait(10)) {
      if (Date.now() > deadline)
        throw new Error(`never told ${JSON.stringify(what)}: ${JSON.stringify(text)}`)
    }
  }
  await until('1\0\0connection-established\0\0')
  return { until, text: () => text, close: () => socket.destroy() }
}

describe('both generations', () => {
  it.each([
    ['4.3', () => newer],
    ['4.2', () => older],
  ])('%s: every qube and its state', async (_, of) => {
    expect(await ask(of(), 'admin.vm.List+ dom0 name dom0')).toBe(
      [
        '0\0dom0 class=AdminVM state=Running',
        'sys-usb class=AppVM state=Running',
        'usb-off class=AppVM state=Halted',
        'work class=AppVM state=Running',
        'halted class=AppVM state=Halted',
        'disp7 class=DispVM state=Paused\n',
      ].join('\n'),
    )
  })

  it.each([
    ['no such method', 'admin.vm.Nope+ dom0 name dom0', ''],
    ['a space in the argument', 'admin.vm.List+a b dom0 name dom0', ''],
    ['a payload that is not wanted', 'admin.vm.List+ dom0 name dom0', 'x'],
    ['the other generation', 'admin.vm.device.usb.List+ dom0 name work', ''],
  ])('%s gets an empty answer', async (_, head, payload) => {
    expect(await ask(newer, head, payload)).toBe('')
  })

  it('tells a qube that is not from one that does not run', async () => {
    expect(await ask(newer, 'admin.vm.device.usb.Attached+ dom0 name nope')).toBe(
      "2\0QubesVMNotFoundError\0\0No such domain: 'nope'\0",
    )
    expect(
      await ask(newer, 'admin.vm.device.usb.Attach+sys-usb+2-1+_ dom0 name halted', payload('2-1')),
    ).toMatch(/^2\0QubesVMNotRunningError\0/)
  })
})

const payload = (port: string): string =>
  `device_id='*' port_id='${port}' devclass='usb' backend_domain='sys-usb' mode='manual' frontend_domain='work'`

describe('devices', () => {
  it('of 4.3 are serialized, hidden ones left out', async () => {
    const text = await ask(newer, 'admin.vm.device.usb.Available+ dom0 name sys-usb')
    expect(text.split('\n')).toHaveLength(3)
    expect(text).toContain("serial='it\\'s+a\\' port_id=\\'2-9'")
    expect(text).toMatch(/\n?2-1:[0-9a-f]{4}:[0-9a-f]{4}:it's\+a' port_id='2-9:u080650 port_id='2-1'/)
    expect(await ask(newer, 'admin.vm.device.usb.Available+1-2 dom0 name sys-usb')).toMatch(
      /^0\x001-2:[^\n]*\n$/,
    )
  })

  it('of 4.2 are free text', async () => {
    expect(await ask(older, 'admin.vm.device.usb.Available+1-2 dom0 name sys-usb')).toMatch(
      /^0\x001-2 description=.+\n$/,
    )
    expect(await ask(older, 'admin.vm.device.usb.Attached+ dom0 name work')).toBe('')
    expect(await ask(older, 'admin.vm.device.usb.List+ dom0 name work')).toBe(
      '0\0sys-usb+1-2 persistent=True\n',
    )
  })

  it('of PCI tell who has a USB controller, and who gets one', async () => {
    expect(await ask(newer, 'admin.vm.device.pci.Available+ dom0 name dom0')).toMatch(
      /00_14\.0:0x8086:0xa0ed::p0c0330 .*interfaces='p0c0330'\n/,
    )
    expect(await ask(newer, 'admin.vm.device.pci.Attached+ dom0 name sys-usb')).toMatch(/^0\0dom0\+00_14\.0:/)
    expect(await ask(newer, 'admin.vm.device.pci.Attached+ dom0 name usb-off')).toBe('0\0')
    expect(await ask(newer, 'admin.vm.device.pci.Assigned+ dom0 name usb-off')).toMatch(/^0\0dom0\+01_14\.0:/)
    expect(await ask(older, 'admin.vm.device.pci.List+ dom0 name usb-off')).toBe(
      '0\0dom0+01_14.0 persistent=True\n',
    )
  })

  it('that are assigned, and interfaces that are denied', async () => {
    expect(await ask(newer, 'admin.vm.device.usb.Assigned+ dom0 name work')).toBe(
      "0\0sys-usb+1-2:* device_id='*' port_id='1-2' devclass='usb' backend_domain='sys-usb' mode='ask-to-attach' frontend_domain='work'\n",
    )
    expect(await ask(newer, 'admin.vm.device.denied.List+ dom0 name work')).toBe('0\0u0e****')
    expect(await ask(older, 'admin.vm.device.denied.List+ dom0 name work')).toBe('')
  })
})

describe('attach and detach', () => {
  it('go through policy of their own, which is gone afterwards, and are told', async () => {
    const events = await listen(newer)
    expect(await ask(newer, 'admin.vm.device.usb.Attach+sys-usb+2-1+_ dom0 name work', payload('2-1'))).toBe(
      '0\0',
    )
    await events.until('1\0work\0device-attach:usb\0device\0sys-usb:2-1:')
    expect(readdirSync(join(newer.lab.dir, 'dom0/run/qubes/policy.d'))).toEqual([])
    expect(await ask(newer, 'admin.vm.device.usb.Attached+ dom0 name work')).toMatch(
      /^0\0sys-usb\+2-1:.*mode='manual'/,
    )
    expect(
      await ask(newer, 'admin.vm.device.usb.Attach+sys-usb+2-1+_ dom0 name work', payload('2-1')),
    ).toMatch(/^2\0DeviceAlreadyAttached\0/)
    expect(await ask(newer, 'admin.vm.device.usb.Detach+sys-usb+2-1+_ dom0 name work')).toBe('0\0')
    await events.until('1\0work\0device-detach:usb\0port\0sys-usb:2-1\0\0')
    events.close()
  })

  it('made over qrexec are seen', async () => {
    const events = await listen(older)
    expect(await attach(older.lab, '2-1', 'work')).toMatchObject({ code: 0 })
    await events.until('1\0work\0device-attach:usb\0device\0sys-usb:2-1:')
    expect(await ask(older, 'admin.vm.device.usb.List+ dom0 name work')).toContain(
      'sys-usb+2-1 persistent=False\n',
    )
    await detachBackend(older.lab, '2-1')
    await events.until('1\0work\0device-detach:usb\0port\0sys-usb:2-1\0\0')
    events.close()
  })

  it('obey the deny list', async () => {
    expect(
      await ask(newer, 'admin.vm.device.usb.Attach+sys-usb+1-2+_ dom0 name work', payload('1-2')),
    ).toMatch(/^2\0QubesException\0\0.*denied/)
  })

  it('that fail leave a belief that goes away, with a detach that never was', async () => {
    const events = await listen(newer)
    await newer.lab.fault('no-free-port', 'work')
    expect(
      await ask(newer, 'admin.vm.device.usb.Attach+sys-usb+2-1+_ dom0 name work', payload('2-1')),
    ).toMatch(/^2\0QubesUSBException\0/)
    expect(await ask(newer, 'admin.vm.device.usb.Attached+ dom0 name work')).toMatch(/^0\0sys-usb\+2-1/)
    const told = (): number => events.text().split('device-detach:usb').length - 1
    const before = told()
    for (const deadline = Date.now() + 5000; Date.now() < deadline; await wait(20)) {
      if ((await ask(newer, 'admin.vm.device.usb.Attached+ dom0 name work')) === '0\0') break
    }
    expect(await ask(newer, 'admin.vm.device.usb.Attached+ dom0 name work')).toBe('0\0')
    expect(told()).toBeGreaterThan(before)
    await newer.lab.fault('no-free-port', 'work', { off: true })
    events.close()
  })
})

describe('qubes', () => {
  it('start, pause, go on and halt, each with its event', async () => {
    const events = await listen(newer)
    expect(await ask(newer, 'admin.vm.Start+ dom0 name halted')).toBe('0\0')
    await events.until('1\0halted\0domain-spawn\0\x001\0halted\0domain-start\0\0')
    expect(await ask(newer, 'admin.vm.Pause+ dom0 name halted')).toBe('0\0')
    await events.until('1\0halted\0domain-paused\0\0')
    expect(await ask(newer, 'admin.vm.Unpause+ dom0 name halted')).toBe('0\0')
    await events.until('1\0halted\0domain-unpaused\0\0')
    expect(await ask(newer, 'admin.vm.Shutdown+ dom0 name halted')).toBe('0\0')
    await events.until('1\0halted\0domain-shutdown\0\0')
    expect(await ask(newer, 'admin.vm.Shutdown+ dom0 name halted')).toMatch(/^2\0QubesVMNotStartedError\0/)
    events.close()
  })

  it('plug and unplug are told', async () => {
    const events = await listen(newer)
    await newer.lab.plug({ backend: 'sys-usb', kind: 'thermometer', port: '1-9' })
    await events.until('1\0sys-usb\0device-added:usb\0device\0sys-usb:1-9:')
    await newer.lab.unplug('sys-usb', '1-9')
    await events.until('1\0sys-usb\0device-removed:usb\0port\0sys-usb:1-9\0\0')
    events.close()
  })
})

describe('faults', () => {
  it('make it slow, silent, lying, or another', async () => {
    const { lab } = older
    await lab.fault('qubesd-slow', null, { value: '0.3' })
    const begun = Date.now()
    await ask(older, 'admin.vm.List+ dom0 name dom0')
    expect(Date.now() - begun).toBeGreaterThanOrEqual(290)
    await lab.fault('qubesd-slow', null, { off: true })

    await lab.fault('qubesd-lying')
    expect(await ask(older, 'admin.vm.device.usb.List+ dom0 name work')).toContain('sys-usb+2-1 persistent')
    await lab.fault('qubesd-lying', null, { off: true })

    await lab.fault('qubesd-silent')
    const silent = ask(older, 'admin.vm.List+ dom0 name dom0')
    expect(await Promise.race([silent, wait(200, 'nothing')])).toBe('nothing')
    await lab.fault('qubesd-restarting', null, { value: '0.1' })
    expect(await silent).toBe('')
    await lab.fault('qubesd-silent', null, { off: true })
    for (const deadline = Date.now() + 5000; !existsSync(socketOf(older)) && Date.now() < deadline; )
      await wait(20)
    expect(await ask(older, 'admin.vm.List+ dom0 name dom0')).toMatch(/^0\0/)
  })

  it('are for a lab that has one', async () => {
    const none = await openLabOfTest({ qubes: [{ name: 'work' }], qubesd: 'none' })
    try {
      expect(existsSync(socketOf(none))).toBe(false)
      await expect(none.lab.fault('qubesd-silent')).rejects.toThrow(/no qubesd/)
    } finally {
      await none.close()
    }
  })
})
