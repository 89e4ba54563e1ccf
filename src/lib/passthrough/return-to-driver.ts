import { setTimeout as sleep } from 'node:timers/promises'
import type { ErrorCode } from '../errors.ts'
import { ROOT_SHELL } from '../qubes/qrexec.ts'
import { POLICY_REFUSES, policyLine } from '../qubes/refusal.ts'
import { type Errand, givingBack, runErrand } from '../qubes/root-shell.ts'
import { isManagementQube } from '../site/standpoint.ts'
import type { Context } from './context.ts'
import { deviceAt, type Look, lookAt, whyNotDone } from './look.ts'
import type { DevicePlace } from './place-locks.ts'

/** How long the backend's kernel may take to bind a driver, ms. */
const BIND_MS = 5000

/**
 * Gives a device that nobody has back to its normal driver in the backend, where it is not on it. The frontend's own
 * detach leaves it on usbip-host, where the backend itself cannot use it (docs/facts.md#detach).
 * @param seen a look that shows where it is now; by default it is looked at first
 * @returns `kept`: undefined when it is on its driver, or is gone; else what is still wrong, in words and by its code;
 *   and the last look at the backend
 */
export async function returnToDriver(
  context: Context,
  at: DevicePlace,
  seen?: Look,
): Promise<{ kept: { why: string; code: ErrorCode } | undefined; seen: Look }> {
  const look = async (errand?: Errand): Promise<Look> =>
    await lookAt(context, [at.backend], {
      heedSignal: false,
      after: errand === undefined ? undefined : { qube: at.backend, errand },
    })
  const isHome = ({ surveys }: Look): boolean => {
    const device = deviceAt(surveys.get(at.backend), at.port)
    return (
      surveys.has(at.backend) &&
      // qubesd does not know of drivers, and where nothing can be run nothing could be done.
      (device === undefined ||
        device.toldBy === 'qubesd' ||
        device.attachedTo !== null ||
        device.driver === 'usb')
    )
  }
  let now = seen ?? (await look())
  if (isHome(now)) return { kept: undefined, seen: now }
  const notBack = `${at.port} is free, and ${at.backend} has not taken it back to its driver`
  if (!now.surveys.has(at.backend)) return { kept: whyNotDone(now, at.backend, notBack), seen: now }
  context.progress(`giving ${at.port} back to ${at.backend}`)
  const errand = givingBack(at.port)
  if (isManagementQube(context.site)) {
    // A service of its own there, which policy may refuse where it lets us look.
    const given = await runErrand(context.site, at.backend, errand)
    // What a root's shell would do nobody else does, so that there is nothing to wait for.
    if (given.end === 'exit' && given.exitCode === POLICY_REFUSES) {
      const why = `the Qubes policy refuses this qube ${ROOT_SHELL} there`
      const line = policyLine(context.site, ROOT_SHELL, at.backend)
      const told = `${at.port} is free, and ${at.backend} cannot be told to take it back: ${why}. ${line}`
      return { kept: { why: told, code: 'REFUSED' }, seen: now }
    }
    now = await look()
  } else {
    now = await look(errand)
  }
  const deadline = Date.now() + BIND_MS
  while (!isHome(now) && Date.now() < deadline) {
    await sleep(100)
    now = await look()
  }
  return { kept: isHome(now) ? undefined : whyNotDone(now, at.backend, notBack), seen: now }
}
