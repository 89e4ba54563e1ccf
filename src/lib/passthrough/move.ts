import { QusbError } from '../errors.ts'
import type { AttachmentRecord } from '../model/attachment.ts'
import { sameIdentity } from '../model/identity.ts'
import type { QubeName } from '../model/names.ts'
import { type AttachRequest, type Chosen, chooseForAttach, requireFree } from './attach-choice.ts'
import { attachUnderLock, requireAllowed } from './attach-transaction.ts'
import type { Context } from './context.ts'
import { detachLocked } from './detach.ts'
import type { Warning } from './results.ts'

/**
 * Takes a device from the frontend that has it, waits until its backend has let go of it, and attaches it to another.
 * What speaks against the new place is found before the old one is given up; when the attach fails all the same, or is
 * interrupted, the device is put back. The lock of the device is held all the time, so that nobody comes in between.
 * @param moving.warnings told what the user should know
 * @throws QusbError which says where the device is now
 */
export async function moveUnderLock(
  context: Context,
  request: AttachRequest,
  moving: { chosen: Chosen; from: QubeName; warnings: Warning[] },
): Promise<AttachmentRecord> {
  const { from, warnings } = moving
  const chosen = await chooseAgain(context, request, moving.chosen)
  if (chosen.device.attachedTo !== from) {
    throw new QusbError('CONFLICT', `${placeWords(chosen)} is no longer attached to ${from}`, {
      hint: `See what is there: qusb list ${chosen.place.backend}`,
    })
  }
  await requireAllowed(context, chosen)
  await detachLocked(context, chosen.device, { warnings, via: request.via })
  try {
    const free = await chooseAgain(context, request, chosen)
    requireFree(free.device, request.frontend)
    return await attachUnderLock(context, request, free)
  } catch (error) {
    throw await putBack(context, request, { ...moving, chosen }, error)
  }
}

/**
 * Looks at the same place anew.
 * @throws QusbError NOT_FOUND when the device is gone, or another is there
 */
async function chooseAgain(context: Context, request: AttachRequest, chosen: Chosen): Promise<Chosen> {
  const { backend, port } = chosen.place
  const again = await chooseForAttach(
    context,
    { ...request, backend, selector: { kind: 'port', port, text: port } },
    { held: chosen.place },
  )
  if (sameIdentity(again.device, chosen.device)) return again
  throw new QusbError('NOT_FOUND', `${placeWords(chosen)} has become another device meanwhile`, {
    hint: `See what is there: qusb list ${backend}`,
  })
}

/** @returns the error to throw, which says whether it came to that */
async function putBack(
  context: Context,
  request: AttachRequest,
  { chosen, from }: { chosen: Chosen; from: QubeName },
  cause: unknown,
): Promise<unknown> {
  if (!(cause instanceof QusbError)) return cause
  // The interrupt that may have brought us here must not stop this as well.
  const calm = { ...context, signal: new AbortController().signal }
  const back = { ...request, frontend: from, force: true }
  let where: string
  let hint = cause.hint
  try {
    context.progress(`putting ${placeWords(chosen)} back into ${from}`)
    const free = await chooseAgain(calm, back, chosen)
    requireFree(free.device, request.frontend)
    await attachUnderLock(calm, back, free)
    where = `it is back in ${from}`
  } catch (error) {
    if (!(error instanceof QusbError)) return error
    where = `it could NOT be put back into ${from}: ${error.message}`
    hint = `See where it is: qusb list ${chosen.place.backend}`
  }
  return new QusbError(cause.code, `${cause.message}; ${where}`, {
    ...(hint === undefined ? {} : { hint }),
    ...(cause.detail === undefined ? {} : { detail: cause.detail }),
    cause,
  })
}

function placeWords({ place }: Chosen): string {
  return `${place.backend}:${place.port}`
}
