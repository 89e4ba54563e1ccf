import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, vi } from 'vitest'
import type { LabFileText } from '../../src/lab/file/schema.ts'
import { getParts } from '../../src/lab/kernel/parts.ts'
import { type Bench, startBench } from './program.ts'

// Software emulation beside other tests: seconds become tens of them.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 400_000 })

/** Waits for a condition: patient, as the machines are slow, and seldom, as each look costs them. */
export async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 120_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never came true: ${what}`)
    await sleep(250)
  }
}

/** Why virtual machines cannot run here; null when they can. In CI that is a failure, elsewhere a skip. */
export async function whyNoMachines(): Promise<string | null> {
  try {
    await getParts()
    return null
  } catch (error) {
    if (process.env.CI === 'true') throw error
    return (error as Error).message
  }
}

/** A lab of real kernels for one test file. */
export async function startMachines(file: LabFileText): Promise<Bench> {
  return await startBench(file, 'kernel')
}

/** Ends the lab, after a look at what its kernels said: no test may leave one with a bug behind. */
export async function endMachines(bench: Bench | undefined, qubes: readonly string[]): Promise<void> {
  if (bench === undefined) return
  const complaints = qubes.flatMap((qube) => complaintsOf(bench, qube))
  await bench.end()
  expect(complaints).toEqual([])
}

/** Lines of a qube's console in which its kernel reports a fault of its own. */
export function complaintsOf(bench: Bench, qube: string): string[] {
  const text = readFileSync(join(bench.lab.dir, 'qubes', qube, 'console.log'), 'utf8')
  return text.split('\n').filter((line) => /Oops|BUG:|kernel BUG|Call Trace|blocked for more than/.test(line))
}

/**
 * Waits in a qube, by itself: a look from outside costs an emulated machine more than the waiting.
 * @param condition of a shell, without programs if it can be
 */
const waitInQube = (condition: string): string =>
  `tries=0; until ${condition}; do tries=$((tries + 1)); [ $tries -lt 1200 ] || exit; sleep 0.1; done`

/** The name of the disk that a stick with this serial is in a qube, as its kernel has it; waits for it. */
export async function diskOf(bench: Bench, qube: string, serial: string): Promise<string> {
  const disk = await bench.inQube(
    qube,
    `find() {
       for file in /sys/bus/usb/devices/*/serial; do
         read -r serial < $file && [ "$serial" = '${serial}' ] || continue
         for disk in \${file%/*}/*:*/host*/target*/*/block/*; do disk=\${disk##*/}; [ "$disk" = '*' ] || return 0; done
       done 2>/dev/null
       return 1
     }
     ${waitInQube('find')}; echo $disk`,
  )
  expect(disk, `${qube} has the disk of ${serial}`).toMatch(/^sd[a-z]+$/)
  return disk
}

/** sha256 of the whole disk as a qube's kernel reads it from the device, not from its memory. */
export async function sumOf(bench: Bench, qube: string, disk: string): Promise<string> {
  return await bench.inQube(
    qube,
    `${waitInQube(`[ -b /dev/${disk} ]`)}
     dd if=/dev/${disk} bs=64k iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1`,
  )
}

/** sha256 of the host's image behind a stick. */
export async function sumOfImage(bench: Bench, port: string): Promise<string> {
  const { devices } = await bench.lab.status()
  const image = devices.find((device) => device.port === port)?.image
  if (!image) throw new Error(`no image behind ${port}`)
  return createHash('sha256').update(readFileSync(image)).digest('hex')
}

/** The USB devices that a frontend has through its virtual host: `VID:PID SERIAL DRIVERS` each. */
export async function importsOf(bench: Bench, qube: string): Promise<string[]> {
  const text = await bench.inQube(
    qube,
    `cd /sys/bus/usb/devices; for d in *-*; do
       case $d in *:*) continue;; esac
       cd -P $d && at=$PWD && cd /sys/bus/usb/devices || continue
       case $at in */vhci_hcd*) ;; *) continue;; esac
       serial= drivers=
       read -r vendor < $d/idVendor; read -r product < $d/idProduct; read -r serial < $d/serial
       for i in $d:*; do cd -P $i/driver && drivers="$drivers \${PWD##*/}" && cd /sys/bus/usb/devices; done
       echo "$vendor:$product $serial$drivers"
     done 2>/dev/null`,
  )
  return text.split('\n').flatMap((line) => (line.trim() ? [line.trim()] : []))
}

/** Rows of a frontend's virtual host that are not free, as its kernel writes them. */
export async function takenPorts(bench: Bench, qube: string): Promise<string[]> {
  const text = await bench.inQube(qube, 'cat /sys/devices/platform/vhci_hcd.*/status*')
  return text.split('\n').filter((line) => /^[hs]s/.test(line) && line.trim().split(/\s+/)[2] !== '004')
}

/** The driver that a device has in its backend. */
export async function driverOf(bench: Bench, port: string, backend = 'sys-usb'): Promise<string> {
  return await bench.inQube(backend, `basename "$(readlink /sys/bus/usb/devices/${port}/driver)"`)
}
