/**
 * The steps of the transactions, in their order: the crash tests try each of them, and fail when one has no case. The locks
 * come after the choice where the words do not tell of what, or where one was not free.
 */
export const ATTACH_STEPS = [
  'lock-device',
  'lock-frontend',
  'survey',
  'choose',
  'clear-stale',
  'write-intent',
  'grant',
  'call-attach',
  'revoke',
  'look-again',
  'record',
] as const

export const DETACH_STEPS = [
  'lock-device',
  'survey',
  'choose',
  'write-intent',
  'call-detach',
  'await-release',
  'give-back',
  'forget-import',
  'record',
] as const

export type Step = (typeof ATTACH_STEPS)[number] | (typeof DETACH_STEPS)[number]

/**
 * Marks that a step is about to begin. In the product it does nothing and the bundler drops it; in the bundle of the
 * crash tests QUSB_FAULT_POINT names a step, and the process stops there, to be killed or signalled. `STEP#2` is the
 * second time that it comes there, and `*` only tells of each step.
 */
export async function reach(step: Step): Promise<void> {
  if (__FAULT_POINTS__) await stopAt(step)
}

/** How often each step was reached, in the bundle of the crash tests. */
const reached = new Map<Step, number>()

async function stopAt(step: Step): Promise<void> {
  const times = (reached.get(step) ?? 0) + 1
  reached.set(step, times)
  const [where, which = '1'] = (process.env.QUSB_FAULT_POINT ?? '').split('#')
  if (where === '*') process.stderr.write(`qusb-fault-point ${step}#${times}\n`)
  if (where !== step || which !== String(times)) return
  await new Promise<void>((resume) => {
    // A signal that the program handles lets it go on, so that what it does then is tried.
    // One whose test has died must not wait for ever.
    const timer = setInterval(() => process.ppid === 1 && process.exit(1), 1000)
    const go = (): void => {
      clearInterval(timer)
      resume()
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGUSR2'] as const) process.once(signal, go)
    // Last: who reads this sends a signal at once.
    process.stderr.write(`qusb-fault-point ${step}\n`)
  })
}
