import { attach } from './attach.ts'
import type { AttachRequest } from './attach-choice.ts'
import type { Context } from './context.ts'
import { guardFrontend } from './guards.ts'
import { failureToError } from './look.ts'
import type { AttachResult } from './results.ts'
import { withRetries } from './retry.ts'
import { waitForDevice } from './wait.ts'

/** How much patience the user has. */
export interface Patience {
  /** How long to wait for a device that is not plugged in, ms; null: until it comes; undefined: not at all. */
  waitMs: number | null | undefined
  /** How often to try again, where a failure may pass. */
  retries: number
}

/**
 * Attaches a device, once it is there, and again where that fails for a reason that may pass.
 * @throws QusbError
 */
export async function attachPatiently(
  context: Context,
  request: AttachRequest,
  { waitMs, retries }: Patience,
): Promise<AttachResult> {
  if (waitMs !== undefined) {
    // What can be told before it comes is told before it comes.
    if (request.backend !== undefined) guardFrontend(request.backend, request.frontend)
    const unknown = await context.directory.whyNotThere(request.frontend)
    if (unknown?.code === 'NOT_FOUND') throw failureToError(unknown)
    await waitForDevice(context, request, waitMs)
  }
  return await withRetries(context, retries, async () => await attach(context, request))
}
