import type { QubeName } from '../model/names.ts'
import { type Port, portToQubesDbKey } from '../model/port.ts'
import type { Site } from '../site/site.ts'
import { callQrexec, type QrexecResult } from './qrexec.ts'
import endImportScript from './scripts/end-import.sh'
import forgetImportScript from './scripts/forget-import.sh'
import giveBackScript from './scripts/give-back.sh'
import giveBackReleasedScript from './scripts/give-back-released.sh'

/** How long a few writes to sysfs may take, ms. */
const TIMEOUT_MS = 5000

/** A constant script of ours with its words, for a shell of root's in a qube. */
export interface Errand {
  /** What the shell reads; ends in a newline. */
  stdin: string
  /** How long it may take, ms. */
  takesMs: number
}

/**
 * bash runs a script as it reads it, so the work is in a function that is called on the last line, with its input from
 * /dev/null. Its words are names, ports and paths that were parsed: they hold nothing that a shell would read otherwise,
 * and that is looked at once more here.
 */
function renderScript(script: string, name: string, words: readonly string[]): string {
  if (words.some((word) => !/^[A-Za-z0-9_./@-]+$/.test(word))) throw new Error('not a word for a script')
  return `${script}\n${name} ${words.join(' ')} </dev/null\n`
}

/** Runs one of our constant scripts as root in a qube. */
export async function runScript(
  site: Site,
  qube: QubeName,
  script: string,
  name: string,
  words: readonly string[],
  timeoutMs = TIMEOUT_MS,
): Promise<QrexecResult> {
  return await runErrand(site, qube, { stdin: renderScript(script, name, words), takesMs: timeoutMs })
}

/** Runs an errand in a call of its own. */
export async function runErrand(
  site: Site,
  qube: QubeName,
  { stdin, takesMs }: Errand,
): Promise<QrexecResult> {
  return await callQrexec(site, {
    target: qube,
    user: 'root',
    service: 'qubes.VMShell',
    stdin,
    timeoutMs: takesMs,
    stdoutLimit: 16 * 1024,
  })
}

/** In the backend: gives a device back to its normal driver. Whether that worked is for the look after it to say. */
export function givingBack(port: Port): Errand {
  return { stdin: renderScript(giveBackScript, 'give_back', [port]), takesMs: TIMEOUT_MS }
}

/**
 * In the backend: waits while the frontend has the device, and gives it back to its normal driver as soon as nobody has it.
 * What came of either is for the look after it to say.
 */
export function givingBackWhenReleased(port: Port, frontend: QubeName): Errand {
  const script = `${giveBackScript}\n${giveBackReleasedScript}`
  const words = [port, portToQubesDbKey(port), frontend]
  return { stdin: renderScript(script, 'give_back_released', words), takesMs: 2 * TIMEOUT_MS }
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
