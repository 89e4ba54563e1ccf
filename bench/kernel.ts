import { setTimeout as wait } from 'node:timers/promises'
import { getParts } from '../src/lab/kernel/parts.ts'
import { compareAttach } from './attach.ts'
import { type BenchLab, PROGRAM, withLab } from './lab.ts'
import { printTable, runNode } from './measure.ts'

const ROUNDS = 5
const SIZE_MIB = 16

/** What real kernels take, under software emulation: boot, attach and detach, throughput. */
export async function benchKernel(): Promise<void> {
  try {
    // Not what is to be measured: the first time they are fetched.
    await getParts({ log: (line) => console.error(line) })
  } catch (error) {
    console.log(`\nReal kernels: not here. ${(error as Error).message}`)
    return
  }
  const lab = {
    qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }],
    devices: [{ backend: 'sys-usb', kind: 'qemu-stick', port: '2-1', sizeMiB: SIZE_MIB }],
  }
  const begin = Date.now()
  await withLab(
    lab,
    async (bench) => {
      const boot = (Date.now() - begin) / 1000
      const local = await throughput(bench, 'sys-usb')
      await compareAttach(bench, 'real kernels', ROUNDS)
      await runNode([PROGRAM, 'attach', 'sys-usb', '2-1', 'work'], bench.env)
      const attached = await throughput(bench, 'work')
      await runNode([PROGRAM, 'detach', 'sys-usb', '2-1'], bench.env)
      printTable(
        'Real kernels',
        ['', 'value'],
        [
          ['a lab of two machines and a stick is up, s', boot],
          ['read in the backend, MiB/s', local],
          ['read through the attachment, MiB/s', attached],
        ],
      )
    },
    'kernel',
  )
}

/** MiB a second of the whole disk, read from the device, by the guest's own clock. */
async function throughput({ lab }: BenchLab, qube: string): Promise<number> {
  const script = `until [ -b /dev/sda ]; do sleep 0.1; done
    read -r before _ < /proc/uptime
    dd if=/dev/sda of=/dev/null bs=128k iflag=direct 2>/dev/null || exit
    read -r after _ < /proc/uptime
    awk "BEGIN { print $after - $before }"`
  for (let tries = 0; tries < 20; tries++) {
    const { code, stdout } = await lab.exec(qube, ['sh', '-c', script])
    const seconds = Number(stdout.toString())
    if (code === 0 && seconds > 0) return SIZE_MIB / seconds
    await wait(500)
  }
  throw new Error(`${qube} cannot read the stick`)
}
