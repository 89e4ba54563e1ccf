import { type ErrorCode, errorToJson, exitCodeOf, QusbError } from '../lib/errors.ts'
import { cleanText } from '../lib/model/text.ts'
import { renderFailure } from '../lib/view/failure.ts'
import { describeTerminal } from '../lib/view/terminal.ts'

/** oclif's own errors are about what the user typed. Its messages may carry the whole help: the first line is enough. */
function fromOclif(error: unknown): QusbError | undefined {
  if (!(error instanceof Error) || !('oclif' in error)) return undefined
  const [first = 'bad arguments', ...rest] = error.message.split('\n').filter((line) => line.trim() !== '')
  const lines = rest.filter((line) => line !== 'See more help with --help').map((line) => line.trim())
  const message = cleanText([first, ...lines].join('; ').replace(/:;/g, ':'), 500).text
  return new QusbError('USAGE', message, { hint: 'See the command with --help.', cause: error })
}

/**
 * Tells a failure: one JSON document on stdout with --json, else words on stderr.
 * @returns the exit code
 */
export function tellFailure(thrown: unknown, options: { json: boolean; debug: boolean }): number {
  const error = fromOclif(thrown) ?? thrown
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ schema: 1, error: errorToJson(error) })}\n`)
  } else {
    const { code, message, hint, detail, candidates } = errorToJson(error)
    const failure = { code: code satisfies ErrorCode, message, hint, detail, candidates }
    process.stderr.write(renderFailure(failure, describeTerminal(process.stderr, process.env)))
  }
  if (options.debug || !(error instanceof QusbError)) printStack(error)
  return exitCodeOf(error)
}

function printStack(error: unknown): void {
  if (!(error instanceof Error)) return
  process.stderr.write(`${error.stack ?? error.message}\n`)
  if (error.cause !== undefined) {
    process.stderr.write('caused by ')
    printStack(error.cause)
  }
}
