import { setTimeout as sleep } from 'node:timers/promises'
import { errorToJson, QusbError } from '../errors.ts'
import { type CommandEnd, isProgram, runCommand, type SignalDiversion } from '../host/run-command.ts'
import type { QubeName } from '../model/names.ts'
import { readState } from '../store/store.ts'
import type { AttachRequest } from './attach-choice.ts'
import { attachPatiently, type Patience } from './attach-patiently.ts'
import type { Context } from './context.ts'
import { detach } from './detach.ts'
import type { DeviceWords } from './find-device.ts'
import type { Attachment, RunResult, Warning } from './results.ts'
import type { Via } from './via.ts'

/** How long another qusb at work on the device is waited for, ms. */
const BUSY_MS = 15_000
const BUSY_POLL_MS = 250

export interface RunRequest extends AttachRequest {
  command: readonly [string, ...string[]]
  /** Where a name of a program is looked for, as PATH has it. */
  searchPath: string | undefined
  /** Keep stdout for our own result. */
  stdoutToStderr: boolean
}

/**
 * Attaches a device, runs a command of the user's, and detaches the device when the command has ended, however it did.
 * A device that the frontend had before stays with it.
 * @param signals set while the command runs: it gets the signals, and the device is given back when it has ended
 * @returns the result, and the failure of the detach
 * @throws QusbError why the device was not attached, or the command not run
 */
export async function run(
  context: Context,
  request: RunRequest,
  patience: Patience,
  signals: SignalDiversion,
): Promise<{ result: RunResult; failure: QusbError | undefined }> {
  const [program] = request.command
  if (!isProgram(program, request.searchPath)) throw notRunnable(program, 'there is no such program')
  const attached = await attachPatiently(context, request, patience)
  const place = placeOf(context, attached.attachment)
  context.progress('')
  let ended: CommandEnd | undefined
  let fault: unknown
  try {
    const { command, stdoutToStderr } = request
    if (!context.signal.aborted) ended = await runCommand(command, { stdoutToStderr, signals })
  } catch (error) {
    fault = error
  }
  // Whatever happened: nobody may be left with a device that no command uses.
  const given = attached.changed ? await giveBack(context, place, request.via) : KEPT
  const { failure } = given
  if (fault !== undefined) throw fault
  if (ended?.end !== 'exit') {
    if (failure !== undefined) throw failure
    context.signal.throwIfAborted()
    throw notRunnable(program, ended?.why ?? 'unknown reason')
  }
  const { exitCode, signal } = ended
  return {
    result: {
      schema: 1,
      changed: attached.changed,
      attachment: attached.attachment,
      from: attached.from,
      command: { exitCode, signal },
      detached: given.detached,
      warnings: [...attached.warnings, ...given.warnings],
      ...(failure === undefined ? {} : { error: errorToJson(failure) }),
    },
    failure,
  }
}

interface Given {
  detached: boolean
  warnings: Warning[]
  failure: QusbError | undefined
}

/** The frontend had it before. */
const KEPT: Given = { detached: false, warnings: [], failure: undefined }

/** Where the device is, by numbers that another one plugged in there would not have. */
function placeOf(
  context: Context,
  { backend, port, frontend }: Attachment,
): DeviceWords & { frontend: QubeName } {
  const record = readState(context.site).state.attachments.find(
    (entry) => entry.backend === backend && entry.port === port && entry.frontend === frontend,
  )
  const devnum = record?.device.devnum ?? null
  if (record === undefined || devnum === null)
    return { backend, frontend, selector: { kind: 'port', port, text: port } }
  const { busnum } = record.device
  return { backend, frontend, selector: { kind: 'bus-address', busnum, devnum, text: `${busnum}.${devnum}` } }
}

/** Detaches, whatever signals come. */
async function giveBack(
  context: Context,
  place: DeviceWords & { frontend: QubeName },
  via: Via,
): Promise<Given> {
  const calm = { ...context, signal: new AbortController().signal }
  for (const deadline = Date.now() + BUSY_MS; ; await sleep(BUSY_POLL_MS)) {
    try {
      const { result, failure } = await detach(calm, { what: 'device', ...place, dryRun: false, via })
      if (failure?.code === 'CONFLICT' && Date.now() < deadline) continue
      return { detached: failure === undefined, warnings: result.warnings, failure }
    } catch (error) {
      if (!(error instanceof QusbError)) throw error
      // It was unplugged meanwhile, or given to another: the frontend does not have it.
      const isGone = error.code === 'NOT_FOUND' || error.code === 'CONFLICT'
      if (!isGone) return { detached: false, warnings: [], failure: error }
      const { code, message } = error
      return {
        detached: true,
        warnings: [{ qube: place.frontend, code, message, hint: null }],
        failure: undefined,
      }
    }
  }
}

function notRunnable(program: string, why: string): QusbError {
  return new QusbError('USAGE', `cannot run "${program}": ${why}`, {
    hint: 'What stands after -- is a program and its arguments; for more, write: -- sh -c "…".',
  })
}
