import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import qrexecClient from './dom0/qrexec-client.sh'
import policyExec from './dom0/qrexec-policy-exec.sh'
import type { Layout } from './layout.ts'
import { writeProgram } from './process/guest-files.ts'
import { writeSiteFile } from './site-file.ts'

/**
 * Writes the lab's dom0: its directories, its programs, the site file.
 * @param policy files for its /etc/qubes/policy.d, name to text
 */
export function writeDom0(layout: Layout, policy: Readonly<Record<string, string>>): void {
  for (const dir of [
    ...layout.policyDirs,
    layout.calls,
    layout.doors,
    layout.links,
    layout.qubes,
    join(layout.dom0, 'proc/sys/kernel/random'),
    join(layout.dom0, 'var/lib/qusb'),
    join(layout.dom0, 'etc/qusb'),
    join(layout.dom0, 'run/qusb'),
    join(layout.dom0, 'etc/qubes-rpc/policy'),
  ]) {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
  }
  writeFileSync(layout.bootId, `${randomUUID()}\n`)
  writeProgram(layout.qrexecClient, qrexecClient)
  writeProgram(layout.policyExec, policyExec)
  for (const [name, text] of Object.entries(policy)) writeFileSync(join(layout.policyDirs[1], name), text)
  writeSiteFile(layout)
}
