import type { Site } from '../site/site.ts'
import { isManagementQube } from '../site/standpoint.ts'

/** Whose call attaches or detaches: our own over qrexec, or qubesd's. */
export type Via = 'qrexec' | 'admin'

/** Whose call it is here: a grant is dom0's matter, so from a management qube it is always qubesd's. */
export function viaFrom(site: Site, asked: Via): Via {
  return isManagementQube(site) ? 'admin' : asked
}
