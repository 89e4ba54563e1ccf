import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  diskOf,
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

describe.skipIf(why !== null)(
  `names, moves and runs on real kernels${why === null ? '' : ` (${why})`}`,
  () => {
    let bench: Bench

    beforeAll(async () => {
      bench = await startMachines({
        qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }, { name: 'vault' }],
        devices: [
          { backend: 'sys-usb', kind: 'qemu-stick', port: '2-1', serial: 'STICK', sizeMiB: 1 },
          { backend: 'sys-usb', kind: 'webcam', port: '1-4.1' },
          { backend: 'sys-usb', kind: 'webcam', port: '1-4.2' },
        ],
      })
    })
    afterAll(async () => await endMachines(bench, ['sys-usb', 'work', 'vault']))

    const qusb = async (...words: string[]) => {
      const ran = await bench.qusb(...words, '--json')
      expect(ran.code, ran.stderr + ran.stdout).toBe(0)
      return ran.json
    }

    it('moves a stick by its alias, whose content the other qube then reads', async () => {
      await qusb('alias', 'add', 'stick', 'sys-usb', '2-1')
      await qusb('attach', 'stick', 'work')
      await diskOf(bench, 'work', 'STICK')
      expect(await qusb('move', 'stick', 'vault')).toMatchObject({ changed: true, from: 'work' })
      expect(await importsOf(bench, 'work')).toEqual([])
      expect(await takenPorts(bench, 'work')).toEqual([])
      expect(await sumOf(bench, 'vault', await diskOf(bench, 'vault', 'STICK'))).toBe(
        await sumOfImage(bench, '2-1'),
      )
      await qusb('detach', 'stick')
      await expectClean(bench, '2-1', 'vault')
    })

    it('puts it back when the other qube cannot take it', async () => {
      await qusb('attach', 'class:storage', 'work')
      const running = bench.start(['move', 'stick', 'vault', '--json'], { faultPoint: 'call-attach' })
      await running.said('qusb-fault-point call-attach\n')
      await bench.lab.fault('service-missing', 'vault')
      running.child.kill('SIGUSR2')
      const failed = await running.done
      await bench.lab.fault('service-missing', 'vault', { off: true })
      expect(failed.code, failed.stderr).toBe(8)
      expect(failed.json.error.message).toMatch(/it is back in work$/)
      expect(await sumOf(bench, 'work', await diskOf(bench, 'work', 'STICK'))).toBe(
        await sumOfImage(bench, '2-1'),
      )
      await qusb('detach', 'stick')
      await expectClean(bench, '2-1', 'work')
    })

    it('has a stick attached while a command runs', async () => {
      const ran = await bench.qusb('run', 'stick', 'work', '--', 'sh', '-c', 'sleep 1; exit 9')
      expect(ran.code, ran.stderr).toBe(9)
      await expectClean(bench, '2-1', 'work')
      expect(await takenPorts(bench, 'work')).toEqual([])
    })

    it('knows a device without a serial by its port, whatever numbers the buses have', async () => {
      const added = await qusb('alias', 'add', 'cam', 'sys-usb', '1-4.1')
      expect(added.device.pin).toMatchObject({ bus: 'usb2', path: '4.1' })
      const { controller } = added.device.pin
      expect(controller).toMatch(/^0000:00:[0-9a-f]{2}\.0$/)

      // As after a reboot on which another controller was found first: that one has the numbers now.
      await bench.inQube(
        'sys-usb',
        `cd /sys/bus/pci/drivers/xhci_hcd && echo ${controller} >unbind && insmod /lib/modules/vhci_hcd.ko && echo ${controller} >bind`,
      )
      let port = ''
      await eventually('the webcam is there again', async () => {
        const { json } = await bench.qusb('list', 'sys-usb', '--json')
        const named = json.devices.filter(({ aliases }: { aliases: string[] }) => aliases.includes('cam'))
        port = named[0]?.port ?? ''
        return named.length === 1
      })
      expect(port).toMatch(/^[1-9][0-9]*-4\.1$/)
      expect(port).not.toBe('1-4.1')
      const planned = await qusb('attach', 'cam', 'work', '--dry-run')
      expect(planned.attachment.port).toBe(port)
    })
  },
)
