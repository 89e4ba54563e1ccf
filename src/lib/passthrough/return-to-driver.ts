import { setTimeout as sleep } from 'node:timers/promises'
import type { QubeName } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import { POLICY_REFUSES, ROOT_SHELL } from '../qubes/qrexec.ts'
import { policyLine } from '../qubes/refusal.ts'
import { giveBack } from '../qubes/root-shell.ts'
import { isManagementQube } from '../site/standpoint.ts'
import type { Context } from './context.ts'
import { deviceAt, type Look, lookAt } from './look.ts'

/** How long the backend's kernel may take to bind a driver, ms. */
const BIND_MS = 5000

/**
 * Gives a device that nobody has back to its normal driver in the backend, where it is not on it. The frontend's own
 * detach leaves it on usbip-host, where the backend itself cannot use it (docs/facts.md#detach).
 * @param options.seen a look that shows where it is now; by default it is looked at first
 * @param options.besides a qube to look at in the same looks, for the caller
 * @returns `kept`: undefined when it is on its driver, or is gone; else what is still wrong; and the last look
 */
export async function returnToDriver(
  context: Context,
  at: { backend: QubeName; port: Port },
  options: { seen?: Look; besides?: QubeName } = {},
): Promise<{ kept: string | undefined; seen: Look }> {
  const qubes = options.besides === undefined ? [at.backend] : [at.backend, options.besides]
  const frontends = options.besides === undefined ? [] : [options.besides]
  const look = async (): Promise<Look> => await lookAt(context, qubes, { heedSignal: false, frontends })
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
  let seen = options.seen ?? (await look())
  if (isHome(seen)) return { kept: undefined, seen }
  if (!seen.surveys.has(at.backend)) return { kept: seen.failures.get(at.backend)?.message, seen }
  context.progress(`giving ${at.port} back to ${at.backend}`)
  const given = await giveBack(context.site, at.backend, at.port)
  // What a root's shell would do nobody else does, so that there is nothing to wait for.
  if (given.end === 'exit' && given.exitCode === POLICY_REFUSES && isManagementQube(context.site)) {
    const why = `the Qubes policy refuses this qube ${ROOT_SHELL} there`
    const line = policyLine(context.site, ROOT_SHELL, at.backend)
    return {
      kept: `${at.port} is free, and ${at.backend} cannot be told to take it back: ${why}. ${line}`,
      seen,
    }
  }
  const deadline = Date.now() + BIND_MS
  for (;;) {
    seen = await look()
    if (isHome(seen)) return { kept: undefined, seen }
    if (Date.now() > deadline) break
    await sleep(100)
  }
  const kept =
    seen.failures.get(at.backend)?.message ??
    `${at.port} is free, and ${at.backend} has not taken it back to its driver`
  return { kept, seen }
}
