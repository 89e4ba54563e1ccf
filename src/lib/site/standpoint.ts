import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
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
