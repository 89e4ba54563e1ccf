import { DOM0 } from '../model/names.ts'
import type { Site } from '../site/site.ts'
import { ownName } from '../site/standpoint.ts'

/** How a call ends that policy refuses, without a word (docs/facts.md#silent-failures). */
export const POLICY_REFUSES = 126

/** How a call ends whose service is not there; a program may end so, too. */
export const SERVICE_MISSING = 127

/**
 * What to write in dom0 so that policy lets a management qube make a call. An `admin.` call is always answered by dom0,
 * whichever qube it is about; a call to a halted qube must not start it.
 */
export function policyLine(site: Site, service: string, dest: string): string {
  const options = service.startsWith('admin.') ? `target=${DOM0}` : 'autostart=no'
  return `To allow it, in a file of dom0's /etc/qubes/policy.d: ${service} * ${ownName(site)} ${dest} allow ${options}`
}
