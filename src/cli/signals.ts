import { EXIT_CODES, QusbError } from '../lib/errors.ts'

/**
 * Turns the first SIGINT, SIGHUP or SIGTERM into an abort, so that what is half done is undone.
 * The second ends the program at once and says that nothing was undone.
 * @param beforeWords called before anything is said: a line of progress may be in the way
 */
export function abortOnSignals(beforeWords: () => void): AbortSignal {
  const controller = new AbortController()
  const onSignal = (signal: NodeJS.Signals): void => {
    beforeWords()
    const code = signal === 'SIGINT' ? 'INTERRUPTED' : 'TERMINATED'
    if (controller.signal.aborted) {
      process.stderr.write(
        'qusb: ended by a second signal: what was under way has NOT been undone. The next qusb command settles it.\n',
      )
      process.exit(EXIT_CODES[code])
    }
    process.stderr.write('qusb: interrupted, undoing what was begun (again to stop at once)…\n')
    controller.abort(new QusbError(code, `interrupted by ${signal}`))
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  return controller.signal
}
