import { readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { ErrorCode } from '../errors.ts'
import { callProgram, type ProgramCall, type ProgramEnd } from '../host/call-program.ts'
import { parseQubeName, type QubeName } from '../model/names.ts'
import type { Site } from '../site/site.ts'
import { isManagementQube } from '../site/standpoint.ts'

/** One call of a service in a qube. */
export interface QrexecCall extends ProgramCall {
  /** The qube, or its stub domain `NAME-dm`. */
  target: QubeName | `${QubeName}-dm`
  /** `DEFAULT` is the qube's ordinary user. */
  user: 'DEFAULT' | 'root'
  service: 'qubes.VMShell' | 'qubes.USBAttach' | 'qubes.USBDetach'
  /** What the service reads; must end in a newline. */
  stdin: string
}

/** How a call ended: its exit code is the service's; 125 and 127 may be qrexec's own (docs/facts.md#exit-codes). */
export interface QrexecResult extends ProgramEnd {
  /** What a call that went by qubesd came to there. */
  failure?: ErrorCode
}

/** What a shell of root's is called between qubes, where policy chooses the user. */
export const ROOT_SHELL = 'qubes.VMRootShell'

/**
 * Calls a service by qrexec-client, or from a management qube by qrexec-client-vm. Never throws for what a qube does.
 * Ending the client cancels nothing in the qube (docs/facts.md#pending-attaches).
 */
export async function callQrexec(site: Site, call: QrexecCall): Promise<QrexecResult> {
  const { client, args } = isManagementQube(site) ? throughPolicy(site, call) : fromDom0(site, call)
  return await callProgram(client, args, call)
}

interface ClientCall {
  client: string
  args: string[]
}

function fromDom0(site: Site, { target, user, service }: QrexecCall): ClientCall {
  const connecting = ['-w', String(site.limits.connectSeconds), '-d', target]
  return { client: site.qrexecClient, args: [...connecting, `${user}:QUBESRPC ${service} dom0`] }
}

function throughPolicy(site: Site, { target, user, service }: QrexecCall): ClientCall {
  const name = user === 'root' && service === 'qubes.VMShell' ? ROOT_SHELL : service
  return { client: site.qrexecClientVm, args: ['--', target, name] }
}

/** A qube that has a qrexec socket: it runs, or its daemon was killed and left the socket behind. */
export interface QrexecSocket {
  name: QubeName
  /** The domain id in the name of the socket; changes when the qube restarts. */
  domainId: number | null
  /** It has a stub domain that takes calls. */
  stubdom: boolean
}

/**
 * The qubes that have a qrexec socket, by name.
 * The directory belongs to group qubes (docs/facts.md#sockets); names in it are validated all the same.
 */
export function listQrexecSockets(site: Site): Map<QubeName, QrexecSocket> {
  const sockets = new Map<QubeName, QrexecSocket>()
  let entries: string[]
  try {
    entries = readdirSync(site.qubesRunDir)
  } catch {
    return sockets
  }
  const all = new Set(entries)
  for (const entry of entries) {
    const name = entry.startsWith('qrexec.') ? parseQubeName(entry.slice('qrexec.'.length)) : undefined
    if (name === undefined) continue
    sockets.set(name, {
      name,
      domainId: readDomainId(join(site.qubesRunDir, entry)),
      stubdom: all.has(`${entry}-dm`),
    })
  }
  return sockets
}

function readDomainId(link: string): number | null {
  try {
    const id = /(?:^|\/)qrexec\.([0-9]{1,9})$/.exec(readlinkSync(link))?.[1]
    return id === undefined ? null : Number(id)
  } catch {
    return null
  }
}
