import { setTimeout as sleep } from 'node:timers/promises'
import { QusbError } from '../errors.ts'
import { isSame } from '../model/device.ts'
import { formatVidPid, isIdentified } from '../model/identity.ts'
import type { QrexecResult } from '../qubes/qrexec.ts'
import type { Chosen } from './attach-choice.ts'
import type { Context } from './context.ts'
import { explainFailure } from './explain.ts'
import { deviceAt, frontendFacts, type Look, lookAtBoth } from './look.ts'
import { carries, type Place, sameVhciPort } from './release.ts'

/** How long the backend may take to say what the service's end has promised, ms. */
const SHOW_MS = 3000

/**
 * Looks whether the device that was chosen, and no other, is now with the frontend, whatever the call's exit code was.
 * @throws QusbError CONFLICT when another device came through; else why the attach failed
 */
export async function verifyAttach(
  context: Context,
  chosen: Chosen,
  result: QrexecResult,
  timeoutMs: number,
): Promise<void> {
  const { place, device } = chosen
  const deadline = Date.now() + SHOW_MS
  for (;;) {
    const seen = await lookAtBoth(context, place)
    const survey = seen.surveys.get(place.backend)
    const now = deviceAt(survey, place.port)
    // After an attach that failed qubesd may still believe in it (docs/facts.md#events), and there is nobody else to ask.
    if (survey?.byQubesd !== undefined && (result.end !== 'exit' || result.exitCode !== 0)) {
      throw explainFailure(device, place.frontend, result, seen, timeoutMs)
    }
    if (now?.attachedTo === place.frontend) {
      if (!isSame(now, device)) throw swapped(place, formatVidPid(now))
      if (place.stubdom || isInFrontend(chosen, seen)) return
    }
    const mayShowYet =
      result.end === 'exit' &&
      result.exitCode === 0 &&
      [null, place.frontend].includes(now?.attachedTo ?? null) &&
      !seen.failures.has(place.frontend)
    if (!mayShowYet || now === undefined || Date.now() > deadline) {
      throw explainFailure(device, place.frontend, result, seen, timeoutMs)
    }
    await sleep(100)
  }
}

/**
 * Whether the frontend has enumerated what was chosen: the backend's word alone may be late, or a lie.
 * @throws QusbError CONFLICT when it enumerated another device
 */
function isInFrontend(chosen: Chosen, seen: Look): boolean {
  const { device, place } = chosen
  const facts = frontendFacts(seen, place.frontend)
  // The proxy's own note of this import: bus and device number alone may be those of another backend's device.
  const file = facts?.stateFiles.find((entry) => entry.backend === place.backend && entry.port === place.port)
  if (file === undefined) return false
  const imported = facts?.imports.find(
    (entry) =>
      sameVhciPort(entry.vhciPort, file.vhciPort) && (device.devnum === null || carries(entry, device)),
  )
  if (imported === undefined) return false
  // qubesd writes serials in ASCII.
  const sameSerial =
    device.toldBy === 'qubesd' ||
    imported.serial === device.serial ||
    imported.serialUnsafe ||
    device.serialUnsafe
  const sameModel = imported.vendorId === device.vendorId && imported.productId === device.productId
  if (isIdentified(device) && !(sameModel && sameSerial)) {
    throw swapped(place, formatVidPid(imported))
  }
  return true
}

/** Another device came through than the one that was chosen: the frontend has met it. */
export class SwappedError extends QusbError {}

function swapped(place: Place, what: string): SwappedError {
  return new SwappedError(
    'CONFLICT',
    `${place.backend}:${place.port} became another device (${what}) while it was being attached: ${place.frontend} was exposed to it for a moment`,
    { hint: `Look at ${place.backend}: a device that changes what it is may be hostile.` },
  )
}
