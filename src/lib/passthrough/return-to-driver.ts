import { setTimeout as sleep } from 'node:timers/promises'
import type { QubeName } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import { giveBack } from '../qubes/root-shell.ts'
import type { Context } from './context.ts'
import { deviceAt, type Look, lookAt } from './look.ts'

/** How long the backend's kernel may take to bind a driver, ms. */
const BIND_MS = 5000

/**
 * Gives a device that nobody has back to its normal driver in the backend, where it is not on it. The frontend's own
 * detach leaves it on usbip-host, where the backend itself cannot use it (FACTS section 3).
 * @returns undefined when it is there, or is gone; else what is still wrong
 */
export async function returnToDriver(
  context: Context,
  at: { backend: QubeName; port: Port },
): Promise<string | undefined> {
  const look = async (): Promise<Look> => await lookAt(context, [at.backend], { heedSignal: false })
  const isHome = (seen: Look): boolean => {
    const device = deviceAt(seen.surveys.get(at.backend), at.port)
    return (
      seen.surveys.has(at.backend) &&
      (device === undefined || device.attachedTo !== null || device.driver === 'usb')
    )
  }
  let seen = await look()
  if (isHome(seen)) return undefined
  if (!seen.surveys.has(at.backend)) return seen.failures.get(at.backend)?.message
  context.progress(`giving ${at.port} back to ${at.backend}`)
  await giveBack(context.site, at.backend, at.port)
  const deadline = Date.now() + BIND_MS
  for (;;) {
    seen = await look()
    if (isHome(seen)) return undefined
    if (Date.now() > deadline) break
    await sleep(100)
  }
  return (
    seen.failures.get(at.backend)?.message ??
    `${at.port} is free, and ${at.backend} has not taken it back to its driver`
  )
}
