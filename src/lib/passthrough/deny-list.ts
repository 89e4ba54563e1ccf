import { QusbError } from '../errors.ts'
import type { Device } from '../model/device.ts'
import type { QubeName } from '../model/names.ts'
import { describeDevice } from './choose.ts'
import type { Context } from './context.ts'
import type { Place } from './release.ts'

/** The list of interfaces that a frontend is denied; undefined where no qubesd answers. */
export type AskedDenied = Promise<readonly string[] | undefined>

/** Asks for the list, to be heeded by requireNotDenied: a failure is thrown there, and by nobody who never heeds it. */
export function askDenied(context: Context, frontend: QubeName): AskedDenied {
  const asked = ask(context, frontend)
  asked.catch(() => {})
  return asked
}

async function ask(context: Context, frontend: QubeName): AskedDenied {
  if (!(await context.directory.answers())) return undefined
  const { askForDenied } = await import('../qubes/admin/ask.ts')
  try {
    return await askForDenied({ site: context.site, signal: context.signal }, frontend)
  } catch (error) {
    const { AdminError } = await import('../qubes/admin/admin-error.ts')
    // From a management qube it is qubesd that attaches, and that heeds the list by itself.
    if (error instanceof AdminError && error.type === 'policy') return []
    throw error
  }
}

/**
 * Obeys the list of interfaces that the frontend is denied. qubesd heeds it only for what is attached through it, and a
 * device that a user has forbidden to a qube is forbidden whichever way it comes.
 * @throws QusbError REFUSED; and what kept the list from being read, where qubesd answers at all
 */
export async function requireNotDenied(place: Place, device: Device, asked: AskedDenied): Promise<void> {
  const denied = await asked
  if (denied === undefined || denied.length === 0) return
  const { findDenial } = await import('../qubes/admin/device-lines.ts')
  const entry = findDenial(denied, device.interfaces)
  if (entry === undefined) return
  throw new QusbError(
    'REFUSED',
    `${place.frontend} is denied devices with the interface ${entry}: ${place.backend}:${place.port} (${describeDevice(device)}) has one`,
    { hint: `The list is that of: qvm-device usb deny list ${place.frontend}` },
  )
}
