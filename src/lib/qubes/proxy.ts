import type { QubeName } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import type { Site } from '../site/site.ts'
import { callQrexec, type QrexecResult } from './qrexec.ts'

/** The proxy's services write a line at most; more is not for us. */
const OUTPUT_LIMIT = 16 * 1024

/** `qubes.USBAttach` in the frontend: it calls the backend and ends when the device is attached or has failed. */
export async function callAttach(
  site: Site,
  call: { caller: QubeName | `${QubeName}-dm`; backend: QubeName; port: Port; timeoutMs: number },
): Promise<QrexecResult> {
  return await callQrexec(site, {
    target: call.caller,
    user: 'root',
    service: 'qubes.USBAttach',
    stdin: `${call.backend} ${call.port}\n`,
    timeoutMs: call.timeoutMs,
    stdoutLimit: OUTPUT_LIMIT,
  })
}

/**
 * `qubes.USBDetach` in the frontend. It frees the port of the virtual host controller that its state file names,
 * whatever sits there by now: to be called only while backend and frontend both say that this device is there.
 */
export async function callDetachAtFrontend(
  site: Site,
  call: { frontend: QubeName; backend: QubeName; port: Port; timeoutMs: number },
): Promise<QrexecResult> {
  return await callQrexec(site, {
    target: call.frontend,
    user: 'root',
    service: 'qubes.USBDetach',
    stdin: `${call.backend} ${call.port}\n`,
    timeoutMs: call.timeoutMs,
    stdoutLimit: OUTPUT_LIMIT,
  })
}

/** `qubes.USBDetach` in the backend: closes the export; the way out when the frontend is gone or hung. */
export async function callDetachAtBackend(
  site: Site,
  call: { backend: QubeName; port: Port; timeoutMs: number },
): Promise<QrexecResult> {
  return await callQrexec(site, {
    target: call.backend,
    user: 'root',
    service: 'qubes.USBDetach',
    stdin: `${call.port}\n`,
    timeoutMs: call.timeoutMs,
    stdoutLimit: OUTPUT_LIMIT,
  })
}
