import type { QubeName } from '../model/names.ts'
import { listQrexecSockets, type QrexecSocket } from '../qubes/qrexec.ts'
import { isManagementQube } from '../site/standpoint.ts'
import type { Context } from './context.ts'

/** The qubes that run, by name. */
export type RunningQubes = ReadonlyMap<QubeName, QrexecSocket>

/**
 * The qubes that run: in dom0 by their sockets, in a management qube by qubesd's word. That knows neither domain ids
 * nor who has a stub domain, so there every frontend is taken for one that cannot be looked into: what it has is the
 * backend's and qubesd's word.
 * @returns undefined where nobody knows, in a management qube whose qubesd does not answer
 */
export async function findRunningQubes(context: Context): Promise<RunningQubes | undefined> {
  if (!isManagementQube(context.site)) return listQrexecSockets(context.site)
  const qubes = await context.directory.qubes()
  if (qubes === undefined) return undefined
  const running = [...qubes.values()].filter(({ state }) => state !== 'halted')
  return new Map(running.map(({ name }) => [name, { name, domainId: null, stubdom: true }]))
}

/** The same for what cannot be done without. @throws QusbError why nobody knows */
export async function requireRunningQubes(context: Context): Promise<RunningQubes> {
  const running = await findRunningQubes(context)
  if (running === undefined) throw context.directory.whyUnknown()
  return running
}
