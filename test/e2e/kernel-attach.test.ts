import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  diskOf,
  driverOf,
  endMachines,
  eventually,
  importsOf,
  startMachines,
  sumOf,
  sumOfImage,
  takenPorts,
  whyNoMachines,
} from './kernel-lab.ts'
import { type Bench, expectClean } from './program.ts'

const why = await whyNoMachines()

describe.skipIf(why !== null)(`attach and detach on real kernels${why === null ? '' : ` (${why})`}`, () => {
  let bench: Bench
  const qubes = ['sys-usb', 'work', 'vault']

  beforeAll(async () => {
    bench = await startMachines({
      qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }, { name: 'vault' }],
      devices: [
        { backend: 'sys-usb', kind: 'qemu-stick', port: '2-1', serial: 'TWIN-A', sizeMiB: 1 },
        { backend: 'sys-usb', kind: 'qemu-stick', port: '2-2', serial: 'TWIN-B', sizeMiB: 1 },
        { backend: 'sys-usb', kind: 'qemu-stick', port: '1-9', serial: 'HIGHSPEED', sizeMiB: 1 },
        { backend: 'sys-usb', kind: 'qemu-keyboard', port: '1-4.2', serial: 'KEYS' },
        { backend: 'sys-usb', kind: 'qemu-serial', port: '1-5', serial: 'LINE' },
        { backend: 'sys-usb', kind: 'mtp', port: '1-6', serial: 'PLAYER' },
        { backend: 'sys-usb', kind: 'tablet', port: '1-7' },
      ],
    })
  })
  afterAll(async () => await endMachines(bench, qubes))

  const attach = async (...words: string[]) => {
    const ran = await bench.qusb('attach', ...words, '--json')
    expect(ran.code, ran.stderr).toBe(0)
    return ran.json
  }
  const detach = async (...words: string[]) => {
    const ran = await bench.qusb('detach', ...words, '--json')
    expect(ran.code, ran.stderr).toBe(0)
    return ran.json
  }

  it('lists what the kernel shows and the backend publishes', async () => {
    const { code, json } = await bench.qusb('list', '--json')
    expect(code).toBe(0)
    const seen = json.devices.map((device: { port: string; speed: number; interfaces: string[] }) => [
      device.port,
      device.speed,
      device.interfaces,
    ])
    expect(seen).toEqual([
      ['1-4.2', 12, ['030101']],
      ['1-5', 12, ['ffffff']],
      ['1-6', 480, ['060101']],
      ['1-9', 480, ['080650']],
      ['2-1', 5000, ['080650']],
      ['2-2', 5000, ['080650']],
    ])
  })

  it('tells twins apart: ambiguous by id, each reachable, each with its own content in its own qube', async () => {
    const both = await bench.qusb('attach', 'sys-usb', '46f4:0001', 'work', '--json')
    expect(both.code).toBe(4)
    const selectors = both.json.error.candidates.map((each: { selector: string }) => each.selector).sort()
    expect(selectors).toEqual(['sys-usb:1-9', 'sys-usb:2-1', 'sys-usb:2-2'])

    await attach('sys-usb', '46f4:0001@TWIN-A', 'work')
    await attach('sys-usb', '2-2', 'vault')
    const [a, b] = [await sumOfImage(bench, '2-1'), await sumOfImage(bench, '2-2')]
    expect(a).not.toBe(b)
    expect(await sumOf(bench, 'work', await diskOf(bench, 'work', 'TWIN-A'))).toBe(a)
    expect(await sumOf(bench, 'vault', await diskOf(bench, 'vault', 'TWIN-B'))).toBe(b)
    expect(await importsOf(bench, 'work')).toEqual(['46f4:0001 TWIN-A usb-storage'])

    // The block device is gone from the backend while another has it.
    expect(await bench.inQube('sys-usb', 'ls /sys/block | wc -l')).toBe('1')
    await detach('sys-usb', '2-1')
    await detach('sys-usb', '2-2', 'vault')
    for (const [port, frontend, serial, sum] of [
      ['2-1', 'work', 'TWIN-A', a],
      ['2-2', 'vault', 'TWIN-B', b],
    ] as const) {
      await expectClean(bench, port, frontend)
      expect(await takenPorts(bench, frontend)).toEqual([])
      expect(await sumOf(bench, 'sys-usb', await diskOf(bench, 'sys-usb', serial))).toBe(sum)
    }
  })

  it('attaches again, elsewhere', async () => {
    await attach('sys-usb:2-1', 'vault')
    expect(await sumOf(bench, 'vault', await diskOf(bench, 'vault', 'TWIN-A'))).toBe(
      await sumOfImage(bench, '2-1'),
    )
    expect(await importsOf(bench, 'work')).toEqual([])
    await detach('sys-usb', '2-1')
    await expectClean(bench, '2-1', 'vault')
  })

  it('attaches a stick at 480 Mb/s', async () => {
    await attach('sys-usb', '1-9', 'work')
    const [row] = await takenPorts(bench, 'work')
    expect(row).toMatch(/^hs\s+\d+ 006 003/)
    expect(await sumOf(bench, 'work', await diskOf(bench, 'work', 'HIGHSPEED'))).toBe(
      await sumOfImage(bench, '1-9'),
    )
    await detach('sys-usb', '1-9')
    await expectClean(bench, '1-9', 'work')
  })

  it('attaches a keyboard behind a hub, a serial adapter that answers, and a media player', async () => {
    await attach('sys-usb', '0627:0001@KEYS', 'work')
    await attach('sys-usb', '0x0403.0x6001', 'work')
    await attach('sys-usb', '46f4:0004', 'work')
    expect((await importsOf(bench, 'work')).sort()).toEqual([
      '0403:6001 LINE ftdi_sio',
      '0627:0001 KEYS usbhid',
      // No driver of the kernel's wants it: it is for programs.
      '46f4:0004 PLAYER',
    ])
    expect(await bench.inQube('work', 'grep -l 0627 /sys/class/input/input*/id/vendor | wc -l')).toBe('1')
    await eventually('the line answers', async () => {
      const said = await bench.inQube(
        'work',
        `exec 3<>/dev/ttyUSB0; stty raw -echo <&3; echo hello >&3; timeout 5 head -c 5 <&3`,
      )
      return said === 'hello'
    })
    await detach('--from', 'work')
    expect(await takenPorts(bench, 'work')).toEqual([])
    for (const port of ['1-4.2', '1-5', '1-6']) await expectClean(bench, port, 'work')
    expect(await bench.inQube('sys-usb', 'ls /dev/ttyUSB0')).toBe('/dev/ttyUSB0')
  })

  it('refuses a stick that the backend has mounted, and takes it once it is not', async () => {
    const disk = await diskOf(bench, 'sys-usb', 'TWIN-B')
    expect(
      await bench.inQube(
        'sys-usb',
        `mkdosfs /dev/${disk} && mount -t vfat /dev/${disk} /mnt && echo mounted`,
      ),
    ).toBe('mounted')
    const refused = await bench.qusb('attach', 'sys-usb', '2-2', 'work', '--json')
    expect(refused).toMatchObject({ code: 6, json: { error: { code: 'REFUSED' } } })
    expect(refused.json.error.message).toContain('/mnt')
    expect(await driverOf(bench, '2-2')).toBe('usb')
    await bench.inQube('sys-usb', 'umount /mnt')
    await attach('sys-usb', '2-2', 'work')
    await detach('sys-usb', '2-2')
  })
})
