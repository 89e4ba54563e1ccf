import { boolean, integer, string } from '@oclif/core/flags'
import type { AttachRequest } from '../lib/passthrough/attach-choice.ts'
import type { Patience } from '../lib/passthrough/attach-patiently.ts'

/** Whose call attaches or detaches: our own over qrexec, or qubesd's. */
export const viaFlag = string({
  description: 'who makes the call: qusb itself over qrexec, or qubesd; in a management qube always qubesd',
  options: ['qrexec', 'admin'],
  default: 'qrexec',
})

/** How a device is named, for the help of an argument. */
export const DEVICE_FORMS =
  'port, VENDOR:PRODUCT[@SERIAL], 0xVVVV.0xPPPP, BUS.DEVICE, name:GLOB, class:WORD or an alias'

/** What needs no backend before it, for the help of an argument. */
export const BACKEND_FORMS =
  'USB qube that has the device; not needed before BACKEND:PORT, VENDOR:PRODUCT, name:GLOB, class:WORD or an alias'

/** What every command takes that attaches. */
export const attachFlags = {
  force: boolean({ description: 'past a guard: hidden, typed on by dom0, or in use in the backend' }),
  start: boolean({ description: 'start the frontend where it is halted' }),
  wait: integer({
    description: 'wait for a device that is not plugged in yet: until it comes, or --wait=SECONDS at most',
    helpValue: '[SECONDS]',
    min: 0,
    max: 604_800,
  }),
  retry: integer({
    description: 'try again as often, with growing pauses, where a failure may pass',
    helpValue: 'TIMES',
    min: 0,
    max: 100,
    default: 0,
  }),
  via: viaFlag,
  timeout: integer({ description: 'seconds that the attach may take', min: 1, max: 600 }),
}

/** `--wait` without a number, which oclif does not know, as `--wait=0`. */
export function allowBareWait(argv: readonly string[]): string[] {
  return argv.map((word) => (word === '--wait' ? '--wait=0' : word))
}

interface AttachFlags {
  force: boolean
  start: boolean
  wait?: number | undefined
  retry: number
  via: string
  timeout?: number | undefined
}

/** What the flags say of an attach. @param usualTimeout seconds, where no flag says */
export function readAttachFlags(
  flags: AttachFlags,
  usualTimeout: number,
): Pick<AttachRequest, 'force' | 'start' | 'via' | 'timeoutMs'> & { patience: Patience } {
  return {
    force: flags.force,
    start: flags.start,
    via: flags.via === 'admin' ? 'admin' : 'qrexec',
    timeoutMs: (flags.timeout ?? usualTimeout) * 1000,
    patience: {
      waitMs: flags.wait === undefined ? undefined : flags.wait === 0 ? null : flags.wait * 1000,
      retries: flags.retry,
    },
  }
}
