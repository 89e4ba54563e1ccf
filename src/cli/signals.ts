import { setMaxListeners } from 'node:events'
import { EXIT_CODES, QusbError } from '../lib/errors.ts'
import type { SignalDiversion } from '../lib/host/run-command.ts'

/**
 * Turns the first SIGINT, SIGHUP or SIGTERM into an abort, so that what is half done is undone.
 * The second ends the program at once and says that nothing was undone.
 * @param diversion while it leads elsewhere, signals go there
 * @param undoes whether there is anything to undo just then: else the first says nothing, and the second is as good
 * @param beforeWords called before anything is said: a line of progress may be in the way
 */
export function abortOnSignals(
  beforeWords: () => void,
  { undoes, diversion }: { undoes: boolean | (() => boolean); diversion?: SignalDiversion },
): AbortSignal {
  const controller = new AbortController()
  // Every call under way listens, and as many run at once as there are backends.
  setMaxListeners(0, controller.signal)
  const mustUndo = (): boolean => (typeof undoes === 'boolean' ? undoes : undoes())
  const onSignal = (signal: NodeJS.Signals): void => {
    if (diversion?.to !== undefined) {
      diversion.to(signal)
      return
    }
    beforeWords()
    const code = signal === 'SIGINT' ? 'INTERRUPTED' : 'TERMINATED'
    if (controller.signal.aborted) {
      if (mustUndo())
        process.stderr.write(
          'qusb: ended by a second signal: what was under way has NOT been undone. The next qusb command settles it.\n',
        )
      process.exit(EXIT_CODES[code])
    }
    if (mustUndo())
      process.stderr.write('qusb: interrupted, undoing what was begun (again to stop at once)…\n')
    controller.abort(new QusbError(code, `interrupted by ${signal}`))
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  return controller.signal
}
