import type { Domain } from '../engine.ts'
import labUdev from '../guest/lab-udev.sh'
import attach from '../guest/qubes.USBAttach.sh'
import detach from '../guest/qubes.USBDetach.sh'
import shell from '../guest/qubes.VMShell.sh'
import systemctl from '../guest/systemctl.sh'
import udevadm from '../guest/udevadm.sh'
import usbExport from '../guest/usb-export.sh'
import usbImport from '../guest/usb-import.sh'
import labKernel from './guest/lab-kernel.sh'
import readBlocks from './guest/lab-read.sh'
import readTemperature from './guest/lab-temperature.sh'
import listenForUevents from './guest/listen-for-uevents.sh'
import onUevent from './guest/on-uevent.sh'
import qubesdb from './guest/qubesdb.sh'

const RPC = 'etc/qubes-rpc'
const LIBRARY = 'usr/lib/qubes'

/**
 * What is installed in a qube, as its definition says: path without the leading slash, and the script. The
 * services are those of the process engine; only what they do to the kernel differs.
 */
export function servicesOf({ qube, isStubdom }: Domain): Readonly<Record<string, string>> {
  const isBackend = qube.backend && !isStubdom
  const isFrontend = qube.proxy.frontend && (isStubdom || !qube.stubdom)
  const exports = isBackend && qube.proxy.backend
  return {
    [`${LIBRARY}/lab-kernel.sh`]: labKernel,
    'usr/bin/systemctl': systemctl,
    'usr/bin/udevadm': udevadm,
    'usr/lib/systemd/lab-udev': labUdev,
    'lab/listen-for-uevents': listenForUevents,
    'lab/on-uevent': onUevent,
    'usr/bin/lab-read': readBlocks,
    'usr/bin/lab-temperature': readTemperature,
    'usr/bin/qubesdb-read': qubesdb,
    'usr/bin/qubesdb-multiread': qubesdb,
    ...(isStubdom ? {} : { [`${RPC}/qubes.VMShell`]: shell }),
    ...(isFrontend ? { [`${RPC}/qubes.USBAttach`]: attach, [`${LIBRARY}/usb-import`]: usbImport } : {}),
    ...(exports ? { [`${RPC}/qubes.USB`]: usbExport } : {}),
    // A stub domain cannot detach; a backend and a frontend can, each its own way.
    ...((isFrontend && !isStubdom) || exports ? { [`${RPC}/qubes.USBDetach`]: detach } : {}),
    ...(qube.importSeconds === undefined ? {} : { 'lab/import-seconds': `${qube.importSeconds}\n` }),
    ...(qube.exportLookSeconds === undefined
      ? {}
      : { 'lab/export-look-seconds': `${qube.exportLookSeconds}\n` }),
    ...(isBackend && !qube.rebindsOnDetach ? { 'etc/qubes/usb-leave-on-usbip-host': '' } : {}),
  }
}
