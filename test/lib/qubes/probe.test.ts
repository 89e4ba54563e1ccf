import { spawnSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { QubeName } from '../../../src/lib/model/names.ts'
import { renderProbe } from '../../../src/lib/qubes/survey.ts'
import type { FrontendFacts, QubeSurvey } from '../../../src/lib/qubes/survey-facts.ts'
import { parseSurvey } from '../../../src/lib/qubes/survey-parser.ts'
import { QubeTree } from './qube-tree.ts'
import { FREE_ROW, VHCI_HEAD, vhciRow } from './transcript-text.ts'

const QUBE = 'sys-usb' as QubeName
const MARKER = `qusb-${'0a'.repeat(16)}`

/** The shells that a qube may have, as far as this machine has them. */
const SHELLS = [['dash'], ['bash'], ['bash', '--posix'], ['busybox', 'ash']].flatMap(
  ([name = '', ...args]) => {
    const found = spawnSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' }).stdout.trim()
    return found === '' ? [] : [[found, ...args]]
  },
)

let tree: QubeTree
beforeEach(() => {
  tree = new QubeTree()
})
afterEach(() => tree.remove())

function runProbe(
  shell: string[],
  options: { name?: string | null; profile?: string; asFrontend?: boolean } = {},
) {
  const [file = '', ...args] = shell
  const bin = tree.programs(options.name === undefined ? QUBE : options.name)
  return spawnSync(file, [...args, '-s'], {
    input: (options.profile ?? '') + renderProbe(MARKER, options.asFrontend ?? true),
    env: { PATH: `${bin}:/usr/bin:/bin`, QUSB_ROOT: tree.root },
    timeout: 10_000,
    maxBuffer: 4 * 1024 * 1024,
  })
}

function survey(shell: string[], options: Parameters<typeof runProbe>[1] = {}): QubeSurvey & FrontendFacts {
  const { stdout } = runProbe(shell, options)
  // Whatever the probe finds, dom0 reads no more.
  expect(stdout.length).toBeLessThan(256 * 1024)
  const parsed = parseSurvey(stdout, MARKER, QUBE, true)
  if (!('survey' in parsed)) throw new Error(`no survey: ${parsed.problem}`)
  const { asFrontend } = parsed.survey
  if (asFrontend === null) throw new Error('it was asked as a frontend')
  return { ...parsed.survey, ...asFrontend }
}

describe.each(SHELLS.map((shell) => ({ shell })))('the probe in $shell', ({ shell }) => {
  it('does not take its own search for an import under way', () => {
    const [, search = ''] = /\$\((grep [^)]*cmdline)\)/.exec(renderProbe(MARKER, true)) ?? []
    expect(search).not.toBe('')
    // As the kernel shows the search while it runs.
    tree.write('/proc/99/cmdline', search.replaceAll("'", '').split(' ').join('\0'))
    tree.write('/proc/98/cmdline', ['qrexec-client-vm', 'sys-usb', 'qubes.USB+2-1'].join('\0'))
    const { stdout } = runProbe(shell)
    expect(stdout.toString()).toMatch(/^P 98 /m)
    expect(stdout.toString()).not.toMatch(/^P 99 /m)
  })

  it('tells a device, its interfaces and who has it', () => {
    tree.plug({
      port: '2-1.4',
      files: {
        serial: 'AB 12\n',
        manufacturer: 'Yubico\n',
        product: 'Key\u202e é\n',
        devnum: '9\n',
      },
      interfaces: [
        { number: 10, code: '0b0000' },
        { number: 2, code: '030101', driver: 'usbhid' },
      ],
    })
    tree.plug({
      port: '2-1',
      files: { bDeviceClass: '09\n' },
      interfaces: [{ number: 0, code: '090000', driver: 'hub' }],
    })
    tree.publish('2-1_4/desc', '1050:0407 Yubico Key AB_12')
    tree.publish('2-1_4/connected-to', 'work')
    const found = survey(shell)
    expect(found.rejected).toBe(0)
    expect(found.devices).toMatchObject([
      { port: '2-1', hub: true, hidden: true, state: 'free', interfaces: ['090000'] },
      {
        backend: 'sys-usb',
        port: '2-1.4',
        busnum: 2,
        devnum: 9,
        vendorId: '1050',
        productId: '0407',
        serial: 'AB 12',
        serialUnsafe: false,
        manufacturer: 'Yubico',
        product: 'Key_ é',
        interfaces: ['030101', '0b0000'],
        speed: 480,
        state: 'attached',
        attachedTo: 'work',
        driver: 'usb',
        interfaceDrivers: ['usbhid'],
        hub: false,
        hidden: false,
        controller: '0000:00:14.0',
        inputForDom0: false,
        usage: [],
      },
    ])
    expect(found.publishedSerials).toEqual([{ port: '2-1.4', serial: 'AB_12' }])
    expect(found.vhci).toBeNull()
  })

  it('tells what cannot be told apart safely', () => {
    const texts: Record<string, string | Buffer> = {
      '2-1': 'ABC\nDEF\n',
      '2-2': 'A\u001b[31m\n',
      '2-3': Buffer.from([0x41, 0xff, 0x42, 0x0a]),
      '2-4': `${'x'.repeat(127)}\n`,
      '2-5': ' padded\n',
      '2-6': '\n',
      '2-7': 'A:B/2-1/serial:C\n',
    }
    for (const [index, [port, serial]] of Object.entries(texts).entries()) {
      tree.plug({ port, files: { devnum: `${index + 2}\n`, serial, product: serial } })
    }
    const { devices } = survey(shell)
    expect(devices.map(({ port, serial, serialUnsafe }) => [port, serial, serialUnsafe])).toEqual([
      ['2-1', null, true],
      ['2-2', null, true],
      ['2-3', null, true],
      ['2-4', null, true],
      ['2-5', null, true],
      ['2-6', null, false],
      ['2-7', 'A:B/2-1/serial:C', false],
    ])
    expect(devices.map((device) => device.product)).toEqual([
      'ABC',
      'A_[31m',
      'A_B',
      'x'.repeat(127),
      'padded',
      null,
      'A:B/2-1/serial:C',
    ])
  })

  it('tells the interfaces of a device that shows none, from its descriptors', () => {
    const descriptors = Buffer.from(
      [
        '12 01 00 02 00 00 00 40 50 10 07 04 00 01 00 00 00 01',
        '09 02 29 00 02 01 00 80 1e',
        '09 04 00 00 01 08 06 50 00',
        '07 05 81 02 00 02 00',
        // The same interface in another setting: not a second one.
        '09 04 00 01 00 08 06 62 00',
        '09 04 01 00 00 03 01 01 00',
      ]
        .join('')
        .replaceAll(' ', ''),
      'hex',
    )
    tree.plug({ port: '1-3', driver: null, files: { bConfigurationValue: '\n', descriptors } })
    tree.plug({ port: '1-4', driver: 'usbip-host', files: { devnum: '8\n', usbip_status: '1\n' } })
    tree.publish('1-4/desc', '1050:0407 a b c')
    tree.publish('1-4/interfaces', ':0B0000:030101:')
    const found = survey(shell)
    expect(found.devices).toMatchObject([
      { port: '1-3', driver: null, interfaces: ['080650', '030101'], interfaceDrivers: [] },
      { port: '1-4', driver: 'usbip-host', interfaces: ['0b0000', '030101'] },
    ])
    expect(found.exports).toEqual([{ port: '1-4', status: 1 }])
  })

  it('tells what uses a disk: mounts, swap, holders, loop devices, other qubes', () => {
    const path = tree.plug({
      port: '2-1.4',
      interfaces: [{ number: 0, code: '080650', driver: 'usb-storage' }],
    })
    tree.plug({ port: '2-1', files: { devnum: '2\n', bDeviceClass: '09\n' } })
    const disk = `${path}/2-1.4:1.0/host6/target6:0:0/6:0:0:0/block/sdb`
    tree.block(disk, '8:16')
    for (const part of [1, 2, 3]) tree.block(`${disk}/sdb${part}`, `8:${16 + part}`)
    tree.directory(`${disk}/sdb3/holders/dm-0`)
    tree.block('/sys/devices/virtual/block/loop3', '7:3')
    tree.write('/sys/devices/virtual/block/loop3/loop/backing_file', '/dev/sdb2\n')
    tree.write('/sys/bus/xen-backend/devices/vbd-5-51744/physical_device', '8:10\n')
    tree.write('/sys/bus/xen-backend/devices/vbd-5-51745/physical_device', 'ca:10\n')
    tree.write(
      '/proc/mounts',
      'proc /proc proc rw 0 0\n/dev/xvda3 / ext4 rw 0 0\n/dev/sdb1 /mnt/a\\040\\033b vfat rw 0 0\n',
    )
    tree.write(
      '/proc/swaps',
      'Filename\tType\tSize\n/dev/xvdc1 partition\t1\n/dev/sdb2                partition\t2\n',
    )
    const found = survey(shell)
    expect(found.rejected).toBe(0)
    expect(found.devices).toMatchObject([
      { port: '2-1', usage: [] },
      {
        port: '2-1.4',
        usage: [
          { kind: 'mounted', block: 'sdb1', what: '/mnt/a _b' },
          { kind: 'swap', block: 'sdb2', what: null },
          { kind: 'holder', block: 'sdb3', what: 'dm-0' },
          { kind: 'holder', block: 'sdb2', what: 'loop3' },
          { kind: 'given', block: 'sdb', what: 'domain 5' },
        ],
      },
    ])
  })

  it.each([
    'system.slice/system-qubes\\x2dinput\\x2dsender\\x2dkeyboard.slice',
    'system.slice',
    'systemd/system.slice/system-qubes.slice',
  ])('tells the keyboard that dom0 types on, by its sender in %s', (slice) => {
    const typing = tree.plug({ port: '1-1', interfaces: [{ number: 0, code: '030101', driver: 'usbhid' }] })
    const key = tree.plug({
      port: '1-2',
      files: { devnum: '8\n' },
      interfaces: [{ number: 0, code: '030101' }],
    })
    tree.directory(`${typing}/1-1:1.0/0003:046D:C31C.0001/input/input3/event3`)
    tree.directory(`${key}/1-2:1.0/0003:1050:0407.0002/input/input13/event13`)
    tree.link('/sys/class/input/event3', `${typing}/1-1:1.0/0003:046D:C31C.0001/input/input3/event3`)
    tree.link('/sys/class/input/event13', `${key}/1-2:1.0/0003:1050:0407.0002/input/input13/event13`)
    tree.directory(`/sys/fs/cgroup/${slice}/qubes-input-sender-keyboard@event3.service`)
    expect(survey(shell).devices.map(({ port, inputForDom0 }) => [port, inputForDom0])).toEqual([
      ['1-1', true],
      ['1-2', false],
    ])
  })

  it('tells what a frontend has imported, what its proxy believes, and what is still under way', () => {
    tree.plug({
      port: '3-1',
      controller: 'platform/vhci_hcd.0',
      files: { serial: 'S1\n' },
      interfaces: [{ number: 0, code: '080650', driver: 'usb-storage' }],
    })
    tree.plug({ port: '3-2', controller: 'platform/vhci_hcd.0', files: { devnum: '8\n' } })
    tree.plug({ port: '4-9', controller: 'platform/vhci_hcd.0', files: { devnum: '9\n' } })
    tree.write(
      '/sys/devices/platform/vhci_hcd.0/status',
      `hub port sta spd dev      sockfd local_busid
hs  0000 006 003 00020003 000003 3-1
hs  0001 006 003 00030010 000004 3-2
hs  0002 004 000 00000000 000000 0-0
ss  0008 005 005 00010002 000005 0-0
`,
    )
    const files = { 'sys-usb-2-1': '0000', 'sys-net-3-1.4': '0001', 'sys-usb-9-9': '0002' }
    for (const [name, port] of Object.entries(files))
      tree.write(`/var/run/qubes/usb-import-${name}.state`, `${port}\n`)
    tree.write('/var/run/qubes/usb-import-dom-0x1050.0x0407.state', '0000\n')
    const commands = {
      100: ['/bin/sh', '--', '/usr/lib/qubes/usb-import', '/var/run/qubes/usb-import-sys-usb-2-1.state'],
      101: ['qrexec-client-vm', 'sys-usb', 'qubes.USB+2-1', '/usr/lib/qubes/usb-import', 'x.state'],
      102: [
        '/usr/bin/qrexec-client-vm',
        '--',
        'sys-net',
        'qubes.USB+3-1.4',
        '/usr/lib/qubes/usb-import',
        'x.state',
      ],
      103: ['vim', '/usr/lib/qubes/usb-import'],
      104: ['qrexec-client-vm', 'dom0', 'qubes.VMAuth'],
      105: ['qrexec-client-vm', 'work;id', 'qubes.USB+2-1'],
    }
    for (const [pid, words] of Object.entries(commands))
      tree.write(`/proc/${pid}/cmdline`, `${words.join('\0')}\0`)
    tree.write('/etc/qubes-rpc/qubes.USBAttach', '')
    tree.write('/usr/local/etc/qubes-rpc/qubes.USBDetach', '')
    tree.write('/etc/qubes-rpc/ctap.GetInfo', '')
    const found = survey(shell)
    expect(found.devices).toEqual([])
    expect(found.imports).toMatchObject([
      {
        local: '3-1',
        vhciPort: '0000',
        hub: 'hs',
        serial: 'S1',
        interfaces: ['080650'],
        remoteBusnum: 2,
        remoteDevnum: 3,
        enumerated: true,
        settled: true,
      },
      {
        local: '3-2',
        vhciPort: '0001',
        remoteBusnum: 3,
        remoteDevnum: 16,
        enumerated: false,
        settled: false,
      },
    ])
    expect(found.vhci).toEqual([
      { port: '0000', hub: 'hs', status: 6, remoteBusnum: 2, remoteDevnum: 3, local: '3-1' },
      { port: '0001', hub: 'hs', status: 6, remoteBusnum: 3, remoteDevnum: 16, local: '3-2' },
      { port: '0002', hub: 'hs', status: 4, remoteBusnum: null, remoteDevnum: null, local: null },
      { port: '0008', hub: 'ss', status: 5, remoteBusnum: 1, remoteDevnum: 2, local: null },
    ])
    expect(found.stateFiles.map((file) => `${file.backend} ${file.port} ${file.vhciPort}`).sort()).toEqual([
      'sys-net 3-1.4 0001',
      'sys-usb 2-1 0000',
      'sys-usb 9-9 0002',
    ])
    expect(found.keptImports).toEqual([
      { backend: 'sys-usb', port: '2-1', pids: [100, 101], vhciPort: '0000' },
    ])
    expect(found.pendingImports).toEqual([{ backend: 'sys-net', port: '3-1.4', pids: [102] }])
    // 4-9 has no row, one state file names no port, one process no qube.
    expect(found.rejected).toBe(3)
    expect(found.proxy).toEqual({ usbAttach: true, usbDetach: true, usbExport: false })
    expect(found.ctapProxy).toBe(true)
  })

  it('looks for what the qube has of others only where it is asked as a frontend', () => {
    tree.plug({ port: '2-1' })
    tree.write('/var/run/qubes/usb-import-sys-usb-2-1.state', '0000\n')
    tree.write(
      '/sys/devices/platform/vhci_hcd.0/status',
      `${VHCI_HEAD}\n${vhciRow('hs', '0000', FREE_ROW)}\n`,
    )
    tree.write('/proc/98/cmdline', ['qrexec-client-vm', 'sys-usb', 'qubes.USB+2-1'].join('\0'))
    const whole = runProbe(shell).stdout
    const { stdout } = runProbe(shell, { asFrontend: false })
    const theirs = /^(?:S |P |.*vhci_hcd)/
    const kept = whole
      .toString()
      .split('\n')
      .filter((line) => !theirs.test(line))
    expect(whole.toString().split('\n').length - kept.length).toBe(4)
    expect(stdout.toString().split('\n')).toEqual(kept)
    const survey = { asFrontend: null, devices: [{ port: '2-1' }], rejected: 0 }
    expect(parseSurvey(stdout, MARKER, QUBE, false)).toMatchObject({ survey })
    // What a qube tells unasked is no answer.
    expect(parseSurvey(whole, MARKER, QUBE, false)).toMatchObject({ survey })
  })

  it('has one answer whatever a login profile prints or sets', () => {
    tree.plug({ port: '2-1', interfaces: [{ number: 0, code: '030101' }] })
    const profile = `set -u; set -f; IFS=:; CDPATH=/tmp; alias cd=false printf=false
      echo 'motd ${MARKER} begin 1'; trap 'echo goodbye; exit 3' EXIT\n`
    expect(survey(shell, { profile })).toEqual(survey(shell))
  })

  it('answers in a qube without QubesDB, sysfs or anything else', () => {
    const found = survey(shell, { name: null })
    expect(found).toMatchObject({ devices: [], imports: [], vhci: null, rejected: 0, truncated: false })
  })

  it('refuses the answer of another qube', () => {
    tree.plug({ port: '2-1' })
    expect(parseSurvey(runProbe(shell, { name: 'work' }).stdout, MARKER, QUBE, true)).toEqual({
      problem: 'other-qube',
    })
  })
})

it('the probe stops at its limit, and says so', () => {
  for (let port = 1; port <= 130; port++) {
    tree.plug({
      port: `2-1.${port}`,
      files: {
        devnum: `${port}\n`,
        serial: `${port}${'é'.repeat(100)}\n`,
        product: '€'.repeat(600),
        manufacturer: '€'.repeat(600),
      },
    })
  }
  for (const shell of SHELLS) {
    const { truncated, devices } = survey(shell)
    expect(truncated).toBe(true)
    expect(devices.length).toBeGreaterThan(30)
    for (const { port, devnum, serial } of devices) {
      expect(serial).toBe(`${devnum}${'é'.repeat(100)}`)
      expect(port).toBe(`2-1.${devnum}`)
    }
  }
})

it('so long a table of virtual host controllers is cut, and no device is lost by it', () => {
  tree.plug({ port: '2-1' })
  const row = (port: number): string => `${vhciRow('hs', String(port).padStart(4, '0'), FREE_ROW)}\n`
  for (let table = 0; table < 128; table++) {
    const rows = Array.from({ length: 30 }, (_, i) => row(table * 30 + i)).join('')
    const name = table === 0 ? 'status' : `status.${table}`
    tree.write(`/sys/devices/platform/vhci_hcd.0/${name}`, `${VHCI_HEAD}\n${rows}`)
  }
  for (const shell of SHELLS) {
    const found = survey(shell)
    expect(found).toMatchObject({ truncated: true, rejected: 0 })
    expect(found.devices.map(({ port }) => port)).toEqual(['2-1'])
    expect(found.vhci?.length).toBeGreaterThan(1000)
  }
})

it('the table of one controller, and of a qube without devices, is read whole', () => {
  const rows = Array.from({ length: 30 }, (_, i) => vhciRow('ss', String(i).padStart(4, '0'), FREE_ROW))
  tree.directory('/sys/bus/usb/devices')
  tree.write('/sys/devices/platform/vhci_hcd.0/status', `${[VHCI_HEAD, ...rows].join('\n')}\n`)
  for (const shell of SHELLS) {
    const found = survey(shell)
    expect(found).toMatchObject({ truncated: false, rejected: 0, devices: [] })
    expect(found.vhci).toHaveLength(30)
  }
})
