/**
 * qusb as a library, for programs of dom0: `import { attach, detach, explain, list, move, watch } from 'qusb'`. These are the functions
 * that the commands call, behind the same doors, guards, locks and store; a program and a person at the command line
 * never disagree about who has what.
 *
 * A failure is a QusbError: its `code` is of the table in `man qusb`, its `hint` says what to do next.
 */
import { setMaxListeners } from 'node:events'
import { QusbError } from './lib/errors.ts'
import { attachPatiently } from './lib/passthrough/attach-patiently.ts'
import type { Context } from './lib/passthrough/context.ts'
import { detach as detachIn, type What } from './lib/passthrough/detach.ts'
import { list as listIn } from './lib/passthrough/list.ts'
import { openContext } from './lib/passthrough/open-context.ts'
import { readWords } from './lib/passthrough/read-words.ts'
import { watch as watchIn } from './lib/passthrough/watch.ts'
import { readQube } from './lib/passthrough/words.ts'
import { foresee } from './lib/rules/foresee.ts'
import type {
  AttachResult,
  DetachResult,
  Explanation,
  ListResult,
  Warning,
  WatchEvent,
} from './library/results.ts'

export { type ErrorCode, EXIT_CODES, QusbError } from './lib/errors.ts'
export type * from './library/results.ts'

export interface Options {
  /** Ends what is under way: what was begun is undone, and the call throws a QusbError INTERRUPTED. */
  signal?: AbortSignal | undefined
  /** Told what is being done, in a few words. */
  progress?: ((what: string) => void) | undefined
  /** A site file that replaces the places of dom0; by default the one that QUSB_SITE names, as for the command. */
  site?: string | undefined
}

export interface ListOptions extends Options {
  /** The USB qubes to ask; by default the configured or usual ones. One that is named and fails is `error`. */
  backends?: readonly string[] | undefined
  /** Hubs and devices hidden on purpose too. */
  all?: boolean | undefined
  /** Only what is attached. */
  attached?: boolean | undefined
}

/**
 * The USB devices of the USB qubes, and who has each.
 * @returns the devices; `warnings` of backends that did not answer, `error` of the first of those that were named
 * @throws QusbError USAGE, or NOT_FOUND when there is no backend at all
 */
export async function list(options: ListOptions = {}): Promise<ListResult> {
  return await within(options, async (context) => {
    const backends = (options.backends ?? []).map((name) => readQube(name, 'backend'))
    const { all = false, attached = false } = options
    return (await listIn(context, { backends, all, attached })).result
  })
}

export interface ChangeOptions extends Options {
  /** Do nothing, and say in `plan` what would be done. */
  dryRun?: boolean | undefined
  /** Who makes the call: qusb itself over qrexec, or qubesd. */
  via?: 'qrexec' | 'admin' | undefined
}

export interface MoveOptions extends ChangeOptions {
  /** Past a guard: hidden, typed on by dom0, or in use in the backend. */
  force?: boolean | undefined
  /** Start the frontend where it is halted. */
  start?: boolean | undefined
  /** How long the call may take, ms; by default the configured time. */
  timeoutMs?: number | undefined
  /** Wait for a device that is not plugged in yet, ms; null: until it comes or the signal ends it. By default not at all. */
  waitMs?: number | null | undefined
  /** How often to try again, with growing pauses, where a failure may pass; 0 by default. */
  retries?: number | undefined
}

export interface AttachOptions extends MoveOptions {
  /** Take it from the frontend that has it. */
  replace?: boolean | undefined
}

/**
 * Attaches one device to a frontend. Attaching to where it already is does nothing and is a success.
 * @param device one word that says where it is or what it is: `sys-usb:2-1`, `1050:0407@SERIAL`, an alias
 * @throws QusbError; what was begun is undone unless it says otherwise
 */
export async function attach(
  device: string,
  frontend: string,
  options: AttachOptions = {},
): Promise<AttachResult> {
  return await within(options, async (context) => {
    const words = await readWords(context, [device, frontend])
    const { backend, selector } = words
    if (selector === undefined || words.frontend === undefined) throw notAlone(device)
    const { force = false, dryRun = false, replace = false, start = false, via = 'qrexec' } = options
    const { timeoutMs = context.config.timeout * 1000, waitMs, retries = 0 } = options
    const what = { backend, selector, frontend: words.frontend }
    const request = { ...what, force, dryRun, replace, start, via, timeoutMs }
    return await attachPatiently(context, request, { waitMs, retries })
  })
}

/**
 * Takes a device from the frontend that has it, if one has, and attaches it to another. What speaks against the new place
 * is found before the old one is given up, and when the attach fails all the same the device is put back.
 * @param device one word, as for `attach`
 * @returns `from` says who had it
 * @throws QusbError which says where the device is now
 */
export async function move(
  device: string,
  frontend: string,
  options: MoveOptions = {},
): Promise<AttachResult> {
  return await attach(device, frontend, { ...options, replace: true })
}

/**
 * What the rules would do with a device if it were plugged in now, which of them decides, and why each other does not.
 * Nothing is done.
 * @param device one word, as for `attach`; also a device that is not there, told of as VENDOR:PRODUCT
 * @throws QusbError USAGE where the rules cannot be read; NOT_FOUND, AMBIGUOUS for the device
 */
export async function explain(device: string, options: Options = {}): Promise<Explanation> {
  return await within(options, async (context) => {
    const { backend, selector } = await readWords(context, [device])
    if (selector === undefined) throw notAlone(device)
    return await foresee(context, { backend, selector })
  })
}

/**
 * Detaches, leaving both sides clean. Detaching what is not attached does nothing and is a success.
 * @param what one device, in a word as for `attach` (with `from`, only if that frontend has it); all that a frontend
 *   has; or all that is attached
 * @returns what was detached; of several, one that failed has its `error` and holds up no other
 * @throws QusbError when one device was meant and could not be detached, or when it cannot be told what is meant
 */
export async function detach(
  what: { device: string; from?: string | undefined } | { from: string } | { all: true },
  options: ChangeOptions = {},
): Promise<DetachResult> {
  return await within(options, async (context) => {
    const { dryRun = false, via = 'qrexec' } = options
    const { result, failure } = await detachIn(context, { ...(await readWhat(context, what)), dryRun, via })
    if (failure !== undefined && 'device' in what) throw failure
    return result
  })
}

async function readWhat(context: Context, what: Parameters<typeof detach>[0]): Promise<What> {
  if ('device' in what) {
    const typed = what.from === undefined ? [what.device] : [what.device, what.from]
    const words = await readWords(context, typed)
    if (words.selector === undefined) throw notAlone(what.device)
    return { what: 'device', ...words, selector: words.selector }
  }
  if ('from' in what) return { what: 'frontend', frontend: readQube(what.from, 'frontend') }
  return { what: 'all' }
}

function notAlone(device: string): QusbError {
  return new QusbError('USAGE', `"${device}" does not say by itself which device is meant`, {
    hint: 'Write BACKEND:PORT, VENDOR:PRODUCT[@SERIAL], or an alias.',
  })
}

export interface WatchOptions extends Options {
  /** The USB qubes to watch; by default the configured, usual and known ones. */
  backends?: readonly string[] | undefined
  /** How often they are asked where no qubesd says when to look, ms; 5000 by default. */
  everyMs?: number | undefined
  /** Told of a backend that does not answer, once until it does. */
  warn?: ((warning: Warning) => void) | undefined
}

/** Tells of devices, attachments and qubes as they change, until the signal or the reader ends it. */
export async function* watch(options: WatchOptions = {}): AsyncGenerator<WatchEvent, void> {
  const backends = (options.backends ?? []).map((name) => readQube(name, 'backend'))
  const { everyMs = 5000, warn = () => {} } = options
  const run = interruptible(options.signal)
  try {
    yield* watchIn(open(options, run.signal), { backends, everyMs }, warn)
  } finally {
    run.forget()
  }
}

async function within<T>(options: Options, work: (context: Context) => Promise<T>): Promise<T> {
  const run = interruptible(options.signal)
  try {
    run.signal.throwIfAborted()
    return await work(open(options, run.signal))
  } finally {
    run.forget()
  }
}

function open(options: Options, signal: AbortSignal): Context {
  return openContext(options.site ?? process.env.QUSB_SITE, {
    signal,
    progress: options.progress ?? (() => {}),
  })
}

/** A signal that is aborted with the caller's, for the reason that passthrough knows; `forget` lets go of the caller's. */
function interruptible(theirs: AbortSignal | undefined): { signal: AbortSignal; forget(): void } {
  const controller = new AbortController()
  // Each call under way listens.
  setMaxListeners(0, controller.signal)
  const interrupt = (): void =>
    controller.abort(
      new QusbError('INTERRUPTED', 'interrupted by the program that called', { cause: theirs?.reason }),
    )
  if (theirs?.aborted === true) interrupt()
  theirs?.addEventListener('abort', interrupt, { once: true })
  return { signal: controller.signal, forget: () => theirs?.removeEventListener('abort', interrupt) }
}
