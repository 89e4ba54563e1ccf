import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Layout } from './layout.ts'

/** The lab's site file: everything that is in another place than in a dom0. */
export function writeSiteFile(layout: Layout): void {
  const site = {
    qrexecClient: layout.qrexecClient,
    qubesRunDir: layout.qubesRunDir,
    policyDir: layout.policyDirs[0],
    policyReadDirs: layout.policyDirs,
    oldPolicyDir: join(layout.dom0, 'etc/qubes-rpc/policy'),
    policyExec: layout.policyExec,
    keptPolicyDir: layout.policyDirs[1],
    rpcDir: layout.rpcDir,
    unitDir: join(layout.dom0, 'etc/systemd/system'),
    setupDir: join(layout.dom0, 'var/lib/qusb-setup'),
    // A lab's questions are not for the desktop of who tries it: a dialog is what is put there.
    zenity: join(layout.dom0, 'bin/zenity'),
    kdialog: join(layout.dom0, 'bin/kdialog'),
    notifySend: join(layout.dom0, 'bin/notify-send'),
    stateDir: join(layout.dom0, 'var/lib/qusb'),
    configDir: join(layout.dom0, 'etc/qusb'),
    runDir: join(layout.dom0, 'run/qusb'),
    qubesdSocket: layout.qubesdSocket,
    usbIds: join(layout.dom0, 'usr/share/hwdata/usb.ids'),
    tmpfilesDir: join(layout.dom0, 'etc/tmpfiles.d'),
    bootIdFile: layout.bootId,
  }
  writeFileSync(layout.site, `${JSON.stringify(site, null, 2)}\n`, { mode: 0o600 })
}
