import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { QusbError } from '../errors.ts'
import { parseQubeName } from '../model/names.ts'
import type { Site } from './site.ts'

/**
 * Whether this is a management qube: none of dom0's doors is here, and calls go out by `qrexec-client-vm`, where policy
 * decides on each. Anything else is taken for a dom0, and what it lacks is told when it is missed.
 */
export function isManagementQube(site: Site): boolean {
  return !existsSync(site.qrexecClient) && !existsSync(site.qubesdSocket) && existsSync(site.qrexecClientVm)
}

/** Whether there is a qubesd to ask: its socket, or the way to it from a management qube. */
export function hasQubesd(site: Site): boolean {
  return existsSync(site.qubesdSocket) || isManagementQube(site)
}

/** What policy calls this qube; its host name is its name unless somebody changed it. */
export function ownName(site: Site): string {
  return parseQubeName(site.qubeName ?? hostname()) ?? 'THIS-QUBE'
}

/** How to make in a management qube what `setup dom0` makes in dom0, as far as it is of use there: a line for a shell. */
export function makeDirectoriesHint({ stateDir, configDir, runDir }: Site): string {
  return `sudo install -d -m 2770 -g qubes ${stateDir} ${runDir} && sudo install -d -m 2775 -g qubes ${configDir} ${configDir}/rules.d`
}

/** How directories are made that are missing or not as they should be, where it is not known which of the two this is. */
export const SET_UP = '`sudo qusb setup dom0`, or in a management qube the line that `qusb doctor` tells'

/** @throws QusbError REFUSED for what is dom0's, asked for in a management qube */
export function requireDom0(site: Site): void {
  if (!isManagementQube(site)) return
  throw new QusbError('REFUSED', 'this is a management qube: setup installs in dom0, from dom0', {
    hint: `Here qusb needs its directories only: ${makeDirectoriesHint(site)}`,
  })
}
