import { setTimeout as sleep } from 'node:timers/promises'
import { QusbError } from '../errors.ts'
import type { QubeName } from '../model/names.ts'
import { type AttachRequest, requireFree } from './attach-choice.ts'
import type { Context } from './context.ts'
import { findDevice } from './find-device.ts'
import { guardDevice, guardFrontend } from './guards.ts'
import { lookAt, surveyOf } from './look.ts'

/** How long a qube may take to start, and then to take calls, ms. */
const START_MS = 180_000
const ANSWER_MS = 60_000
const POLL_MS = 250

/**
 * Starts the frontend where it is halted, and waits until it takes calls. Before that it looks whether there is
 * something to attach: a qube is not started for nothing.
 * @throws QusbError why the device cannot be attached, or the qube not started
 */
export async function startFrontend(context: Context, request: AttachRequest): Promise<void> {
  const { frontend } = request
  const qubes = await context.directory.qubes()
  if (qubes === undefined) {
    throw new QusbError('NOT_RUNNING', `without qubesd it cannot be told whether ${frontend} runs`, {
      hint: `Start it yourself: qvm-start ${frontend}`,
    })
  }
  if (qubes.get(frontend)?.state !== 'halted') return

  const { device } = await findDevice(context, request)
  guardFrontend(device.backend, frontend)
  if (!request.replace || device.attachedTo === null) requireFree(device, frontend)
  guardDevice(device, request.force)

  await startQube(context, frontend)
}

/** Starts a qube, and waits until it takes calls. @throws QusbError */
export async function startQube(context: Context, qube: QubeName): Promise<void> {
  context.progress(`starting ${qube}`)
  const { callAdmin } = await import('../qubes/admin/call.ts')
  const { site, signal } = context
  await callAdmin(site, { method: 'admin.vm.Start', dest: qube, timeoutMs: START_MS, signal })
  context.progress(`waiting until ${qube} takes calls`)
  for (const deadline = Date.now() + ANSWER_MS; ; await sleep(POLL_MS)) {
    context.directory.forget()
    const look = await lookAt(context, [qube], { frontends: [qube] })
    // Where policy keeps a management qube from looking into it, qubesd's word has to do.
    if (look.surveys.has(qube) || look.failures.get(qube)?.code === 'REFUSED') return
    if (Date.now() > deadline) surveyOf(look, qube)
  }
}
