import { DOM0, isQubeName, type QubeName } from '../../model/names.ts'
import type { Limit } from './limit.ts'

/** The calls that qusb makes; their arguments and answers are in docs/facts.md#calls. */
export type AdminMethod =
  | 'admin.Events'
  | 'admin.vm.List'
  | 'admin.vm.Start'
  | 'admin.vm.Shutdown'
  | 'admin.vm.property.Get'
  | 'admin.vm.feature.Set'
  | 'admin.vm.device.denied.List'
  | `admin.vm.device.${'pci' | 'usb'}.${'Available' | 'Attached' | 'Assigned' | 'List'}`
  | `admin.vm.device.usb.${'Attach' | 'Detach'}`

/** What is asked. */
export interface Request {
  method: AdminMethod
  /** Letters, digits and `+._-`; default none. */
  arg?: string
  /** The qube it is about; default dom0. */
  dest?: QubeName
  /** Printable ASCII; default none. */
  payload?: string
}

/** A request, and how long it is waited for. */
export interface AdminCall extends Request {
  /** For the whole call, ms; default 3000. */
  timeoutMs?: number
  signal?: AbortSignal
  /** That of many calls together, in place of the two. */
  limit?: Limit
}

/** qubesd takes no more in one request. */
const REQUEST_LIMIT = 64 * 1024

/**
 * A request as it goes over the socket.
 * @throws Error for one that qubesd would read otherwise than meant: a space in the argument breaks the framing
 */
export function formatRequest(request: Request): string {
  const { method, arg = '', dest = DOM0, payload = '' } = request
  if (!/^[A-Za-z0-9+._-]{0,512}$/.test(arg)) throw new Error(`not an argument of the Admin API: ${arg}`)
  if (!isQubeName(dest)) throw new Error(`not a qube: ${dest}`)
  if (!/^[\x20-\x7e]*$/.test(payload)) throw new Error('a payload that is not printable')
  const text = `${method}+${arg} dom0 name ${dest}\0${payload}`
  if (text.length > REQUEST_LIMIT) throw new Error('a request that is too long')
  return text
}
