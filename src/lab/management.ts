import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeProgram } from './process/guest-files.ts'

/** The site file of a management qube. @param root the qube's directory */
export const managementSite = (root: string): string => join(root, 'site.json')

/**
 * Lets qusb run as in a qube: a site that has none of dom0's doors, and a qrexec-client-vm that calls as this qube. The
 * rest is where a real qube has it, below its own root.
 */
export function writeManagementSite(qube: {
  root: string
  labDir: string
  name: string
  domid: number
}): void {
  const { root, labDir, name, domid } = qube
  const at = (path: string): string => join(root, path)
  const client = at('usr/bin/qrexec-client-vm')
  const clientHere = at('usr/lib/qubes/qrexec-client-vm-here')
  const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
  // qusb gives a client nothing of its environment, and here that is what says which qube calls.
  writeProgram(
    clientHere,
    `#!/bin/sh\nexport QUSB_LAB=${quote(labDir)} QUSB_DOMID=${domid}\nexec ${quote(client)} "$@"\n`,
  )
  const site = {
    qrexecClient: at('usr/bin/qrexec-client'),
    qrexecClientVm: clientHere,
    qubeName: name,
    qubesRunDir: at('run/qubes'),
    policyDir: at('run/qubes/policy.d'),
    policyReadDirs: [at('run/qubes/policy.d'), at('etc/qubes/policy.d')],
    oldPolicyDir: at('etc/qubes-rpc/policy'),
    policyExec: at('usr/bin/qrexec-policy-exec'),
    keptPolicyDir: at('etc/qubes/policy.d'),
    rpcDir: at('etc/qubes-rpc'),
    unitDir: at('etc/systemd/system'),
    setupDir: at('var/lib/qusb-setup'),
    zenity: at('usr/bin/zenity'),
    kdialog: at('usr/bin/kdialog'),
    notifySend: at('usr/bin/notify-send'),
    stateDir: at('var/lib/qusb'),
    configDir: at('etc/qusb'),
    runDir: at('run/qusb'),
    qubesdSocket: at('var/run/qubesd.sock'),
    usbIds: at('usr/share/hwdata/usb.ids'),
    tmpfilesDir: at('etc/tmpfiles.d'),
    bootIdFile: at('proc/sys/kernel/random/boot_id'),
  }
  for (const dir of [site.stateDir, site.configDir, site.runDir]) {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
  }
  writeFileSync(managementSite(root), `${JSON.stringify(site, null, 2)}\n`, { mode: 0o600 })
}
