import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Domain } from '../engine.ts'
import labBoot from '../guest/lab-boot.sh'
import kernelFunctions from '../guest/lab-kernel.sh'
import readBlocks from '../guest/lab-read.sh'
import readTemperature from '../guest/lab-temperature.sh'
import labUdev from '../guest/lab-udev.sh'
import clientVm from '../guest/qrexec-client-vm.sh'
import usbAttach from '../guest/qubes.USBAttach.sh'
import usbDetach from '../guest/qubes.USBDetach.sh'
import shell from '../guest/qubes.VMShell.sh'
import multiread from '../guest/qubesdb-multiread.sh'
import readDb from '../guest/qubesdb-read.sh'
import systemctl from '../guest/systemctl.sh'
import udevadm from '../guest/udevadm.sh'
import usbExport from '../guest/usb-export.sh'
import usbImport from '../guest/usb-import.sh'

/** The services that a domain has: name in etc/qubes-rpc to script. */
export function servicesOf(domain: Domain): Readonly<Record<string, string>> {
  const { qube, isStubdom } = domain
  if (isStubdom) return { 'qubes.USBAttach': usbAttach }
  const frontend = qube.proxy.frontend && !qube.stubdom
  const backend = qube.backend && qube.proxy.backend
  return {
    'qubes.VMShell': shell,
    'qubes.VMRootShell': shell,
    ...(frontend ? { 'qubes.USBAttach': usbAttach } : {}),
    ...(frontend || backend ? { 'qubes.USBDetach': usbDetach } : {}),
    ...(backend ? { 'qubes.USB': usbExport } : {}),
  }
}

/** Writes what a qube of the process engine has besides sysfs: services, programs, settings. */
export function writeGuestFiles(root: string, domain: Domain, bootId: string): void {
  const { qube } = domain
  const programs: Record<string, string> = {
    'usr/lib/qubes/usb-import': usbImport,
    'usr/bin/qrexec-client-vm': clientVm,
    'usr/bin/qubesdb-read': readDb,
    'usr/bin/qubesdb-multiread': multiread,
    'usr/bin/systemctl': systemctl,
    'usr/bin/udevadm': udevadm,
    'usr/lib/systemd/lab-boot': labBoot,
    'usr/lib/systemd/lab-udev': labUdev,
    'usr/bin/lab-read': readBlocks,
    'usr/bin/lab-temperature': readTemperature,
  }
  for (const [name, script] of Object.entries(servicesOf(domain))) programs[`etc/qubes-rpc/${name}`] = script
  for (const [path, script] of Object.entries(programs)) writeProgram(join(root, path), script)
  writeText(join(root, 'usr/lib/qubes/lab-kernel.sh'), kernelFunctions)
  writeText(join(root, 'proc/sys/kernel/random/boot_id'), `${bootId}\n`)
  if (!qube.rebindsOnDetach) writeText(join(root, 'etc/qubes/usb-leave-on-usbip-host'), '')
  if (qube.profileNoise !== '') writeText(join(root, 'lab/profile'), qube.profileNoise)
  if (qube.importSeconds !== undefined) writeText(join(root, 'lab/import-seconds'), `${qube.importSeconds}\n`)
  for (const dir of ['run/qubes', 'var/log', 'lab', 'etc/qubes-rpc', 'tmp'])
    mkdirSync(join(root, dir), { recursive: true })
  symlinkSync('../run', join(root, 'var/run'))
}

export function writeProgram(path: string, script: string): void {
  writeText(path, script)
  chmodSync(path, 0o755)
}

function writeText(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}
