import type { QubeName } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import type { Site } from '../site/site.ts'
import { callQrexec, type QrexecResult } from './qrexec.ts'
import endImportScript from './scripts/end-import.sh'
import forgetImportScript from './scripts/forget-import.sh'
import giveBackScript from './scripts/give-back.sh'

/** How long a few writes to sysfs may take, ms. */
const TIMEOUT_MS = 5000

/**
 * Runs one of our constant scripts as root in a qube. bash runs a script as it reads it, so the work is in a function
 * that is called on the last line, with its input from /dev/null. Its words are names, ports and paths that were parsed:
 * they hold nothing that a shell would read otherwise, and that is looked at once more here.
 */
export async function runScript(
  site: Site,
  qube: QubeName,
  script: string,
  name: string,
  words: readonly string[],
  timeoutMs = TIMEOUT_MS,
): Promise<QrexecResult> {
  if (words.some((word) => !/^[A-Za-z0-9_./@-]+$/.test(word))) throw new Error('not a word for a script')
  return await callQrexec(site, {
    target: qube,
    user: 'root',
    service: 'qubes.VMShell',
    stdin: `${script}\n${name} ${words.join(' ')} </dev/null\n`,
    timeoutMs,
    stdoutLimit: 16 * 1024,
  })
}

/** Gives a device back to its normal driver in the backend. Whether that worked is for the next survey to say. */
export async function giveBack(site: Site, backend: QubeName, port: Port): Promise<QrexecResult> {
  return await runScript(site, backend, giveBackScript, 'give_back', [port])
}

/** Removes a state file that is known to be stale from the frontend. */
export async function forgetImport(
  site: Site,
  frontend: QubeName,
  backend: QubeName,
  port: Port,
): Promise<QrexecResult> {
  return await runScript(site, frontend, forgetImportScript, 'forget_import', [backend, port])
}

/**
 * Ends a pending import in the frontend: neither its client's death nor a revoked grant does
 * (docs/facts.md#pending-attaches).
 */
export async function endImport(
  site: Site,
  frontend: QubeName,
  backend: QubeName,
  port: Port,
): Promise<QrexecResult> {
  return await runScript(site, frontend, endImportScript, 'end_import', [backend, port])
}
