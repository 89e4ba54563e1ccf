import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LabFileText } from '../../src/lab/file/schema.ts'
import { type Bench, type Ran, type Running, startBench } from './program.ts'

/** What README says that a management qube needs, and one qube that is none of its business. */
const POLICY = [
  'admin.vm.List * mgmt secret deny',
  'admin.Events * mgmt secret deny',
  'admin.vm.List * mgmt dom0 allow target=dom0',
  'admin.vm.List * mgmt @anyvm allow target=dom0',
  'admin.Events * mgmt dom0 allow target=dom0',
  'admin.Events * mgmt @anyvm allow target=dom0',
  'admin.vm.device.pci.Available * mgmt dom0 allow target=dom0',
  'admin.vm.device.pci.Attached * mgmt @anyvm allow target=dom0',
  'admin.vm.device.pci.Assigned * mgmt @anyvm allow target=dom0',
  'admin.vm.device.pci.List * mgmt @anyvm allow target=dom0',
  'admin.vm.device.usb.Available * mgmt @anyvm allow target=dom0',
  'admin.vm.device.usb.Assigned * mgmt @anyvm allow target=dom0',
  'admin.vm.device.usb.List * mgmt @anyvm allow target=dom0',
  'admin.vm.device.usb.Attached * mgmt work allow target=dom0',
  'admin.vm.device.usb.Attached * mgmt vault allow target=dom0',
  'admin.vm.device.usb.Attach * mgmt work allow target=dom0',
  'admin.vm.device.usb.Detach * mgmt work allow target=dom0',
  'admin.vm.device.usb.Attach * mgmt vault allow target=dom0',
  'admin.vm.device.usb.Detach * mgmt vault allow target=dom0',
  'admin.vm.device.denied.List * mgmt work allow target=dom0',
  'admin.vm.Start * mgmt vault allow target=dom0',
  'qubes.VMShell * mgmt sys-usb allow autostart=no',
]
export const FILE: LabFileText = {
  qubes: [
    { name: 'sys-usb', backend: true },
    { name: 'work' },
    { name: 'vault', state: 'halted' },
    { name: 'secret' },
    { name: 'mgmt', management: true },
  ],
  devices: [
    { backend: 'sys-usb', port: '1-2', kind: 'thermometer' },
    { backend: 'sys-usb', port: '2-1', kind: 'stick' },
  ],
  policy: { '30-mgmt.policy': POLICY.join('\n') },
}

/** A lab with a management qube, and the program run there. */
export interface Management {
  bench: Bench
  /** Its site file. */
  site: string
  start(...args: string[]): Running
  run(...args: string[]): Promise<Ran>
  /** Replaces the policy: without the lines that begin so. */
  allowAllBut(...calls: string[]): void
}

export async function startManagement(file: LabFileText = FILE): Promise<Management> {
  const bench = await startBench(file, 'process')
  const { qubes } = await bench.lab.status()
  const site = qubes.find(({ name }) => name === 'mgmt')?.site ?? ''
  const start = (...args: string[]): Running => bench.start(args, { env: { QUSB_SITE: site } })
  return {
    bench,
    site,
    start,
    run: async (...args) => await start(...args).done,
    allowAllBut: (...calls) => {
      const lines = POLICY.filter((line) => !calls.some((call) => line.startsWith(`${call} `)))
      writeFileSync(join(bench.lab.dir, 'dom0/etc/qubes/policy.d/30-mgmt.policy'), `${lines.join('\n')}\n`)
    },
  }
}
