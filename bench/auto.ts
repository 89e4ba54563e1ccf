import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { getParts } from '../src/lab/kernel/parts.ts'
import { type BenchLab, PROGRAM, withLab } from './lab.ts'
import { printTable, runNode } from './measure.ts'

const ROUNDS = 10
const ROUNDS_OF_MACHINES = 5
const LIMIT_MS = 60_000
const QUIET_MS = 3000
/** Well below what is measured, and seldom enough to be no load. */
const LOOK_MS = 2

/**
 * From the kernel's add event in the backend to the attach call that dom0 issues: the event of the kernel, a rule of udev,
 * a unit, a call of qusb.Plugged, a look, a rule's decision, a second look, locks and the grant. On both engines.
 */
export async function benchAuto(): Promise<void> {
  const qubes = [{ name: 'sys-usb', backend: true }, { name: 'work' }]
  const rows: (readonly [string, ...number[]])[] = []
  await withLab({ qubes, qubesd: 'none' }, async (bench) => {
    rows.push(['process engine', ...(await timePlugs(bench, 'stick', ROUNDS, awaitSysfs(bench)))])
  })
  try {
    await getParts({ log: (line) => console.error(line) })
    await withLab(
      { qubes, qubesd: 'none' },
      async (bench) => {
        rows.push([
          'real kernels',
          ...(await timePlugs(bench, 'qemu-stick', ROUNDS_OF_MACHINES, await awaitConsole(bench))),
        ])
      },
      'kernel',
    )
  } catch (error) {
    console.log(`\nReal kernels: not here. ${(error as Error).message}`)
  }
  printTable(
    'From the add event to the attach call, ms (aim: under 300 on the process engine)',
    ['', 'least', 'median', 'most'],
    rows,
  )
}

/** What tells when the kernel of the backend has the device, from before it is plugged. */
type AwaitAdd = () => { added(): boolean }

async function timePlugs(
  { lab, site, env }: BenchLab,
  kind: 'stick' | 'qemu-stick',
  rounds: number,
  awaitAdd: AwaitAdd,
): Promise<[least: number, median: number, most: number]> {
  await runNode([PROGRAM, 'setup', 'backend', 'sys-usb', '--group', 'root'], env)
  mkdirSync(join(site.configDir, 'rules.d'), { recursive: true })
  writeFileSync(join(site.configDir, 'rules.d/50-bench.rules'), 'class:storage  sys-usb  work  allow\n')
  const { NODE_EXTRA_CA_CERTS: _, ...clean } = { ...process.env, ...env }
  // A hint alone is what tells of a device: nobody looks for an hour.
  const watcher = spawn(process.execPath, [PROGRAM, 'watch', '--auto', '--json', '--every', '3600'], {
    env: clean,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let told = ''
  watcher.stdout.setEncoding('utf8').on('data', (text: string) => {
    told += text
  })
  const ended = new Promise<void>((resolve) => watcher.once('close', () => resolve()))
  try {
    await until('the watcher watches', () => told.includes('"watching"'))
    const times: number[] = []
    for (let round = 0; round < rounds; round++) {
      const { added } = awaitAdd()
      const plugging = lab.plug({ backend: 'sys-usb', kind, port: '2-1' })
      await until('the device is there', added)
      const begin = process.hrtime.bigint()
      await until('the grant is there', () =>
        readdirSync(site.policyDir).some((name) => name.startsWith('34-qusb')),
      )
      times.push(Number(process.hrtime.bigint() - begin) / 1e6)
      await plugging
      const attached = round + 1
      await until('it is attached', () => told.split('"rule-attached"').length > attached)
      await lab.unplug('sys-usb', '2-1')
      await until('it has left', () => told.split('"device-removed"').length > attached)
      // What its leaving takes, and the look that comes after, are not to be measured.
      await wait(QUIET_MS)
    }
    const sorted = times.sort((a, b) => a - b)
    return [sorted[0] ?? Number.NaN, sorted[sorted.length >> 1] ?? Number.NaN, sorted.at(-1) ?? Number.NaN]
  } finally {
    watcher.kill('SIGTERM')
    await ended
  }
}

/** A qube of the process engine shows its devices in a directory. */
function awaitSysfs({ lab }: BenchLab): AwaitAdd {
  const device = join(lab.dir, 'qubes/sys-usb/sys/bus/usb/devices/2-1')
  return () => ({ added: () => existsSync(device) })
}

/** A kernel says so on its console just before it tells udev (drivers/usb/core/hub.c, usb_new_device). */
async function awaitConsole({ lab }: BenchLab): Promise<AwaitAdd> {
  // It boots quietly.
  await lab.exec('sys-usb', ['dmesg', '-n', '7'])
  const file = join(lab.dir, 'qubes/sys-usb/console.log')
  return () => {
    const before = statSync(file).size
    return {
      added: () => readFileSync(file).subarray(before).includes('usb 2-1: New USB device found'),
    }
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + LIMIT_MS
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`never came true: ${what}`)
    await wait(LOOK_MS)
  }
}
