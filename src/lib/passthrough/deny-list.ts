import { QusbError } from '../errors.ts'
import type { Device } from '../model/device.ts'
import { describeDevice } from './choose.ts'
import type { Context } from './context.ts'
import type { Place } from './release.ts'

/**
 * Obeys the list of interfaces that the frontend is denied. qubesd heeds it only for what is attached through it, and a
 * device that a user has forbidden to a qube is forbidden whichever way it comes.
 * @throws QusbError REFUSED; and what kept the list from being read, where qubesd answers at all
 */
export async function requireNotDenied(context: Context, place: Place, device: Device): Promise<void> {
  if (!(await context.directory.answers())) return
  const [{ askForDenied }, { findDenial }, { AdminError }] = await Promise.all([
    import('../qubes/admin/ask.ts'),
    import('../qubes/admin/device-lines.ts'),
    import('../qubes/admin/admin-error.ts'),
  ])
  const denied = await askForDenied({ site: context.site, signal: context.signal }, place.frontend).catch(
    (error: unknown) => {
      // From a management qube it is qubesd that attaches, and that heeds the list by itself.
      if (error instanceof AdminError && error.type === 'policy') return []
      throw error
    },
  )
  const entry = findDenial(denied, device.interfaces)
  if (entry === undefined) return
  throw new QusbError(
    'REFUSED',
    `${place.frontend} is denied devices with the interface ${entry}: ${place.backend}:${place.port} (${describeDevice(device)}) has one`,
    { hint: `The list is that of: qvm-device usb deny list ${place.frontend}` },
  )
}
