/** Exit codes that scripts lean on: one table, see `man qusb`. 130 and 143 are for signals. */
export const EXIT_CODES = {
  INTERNAL: 1,
  USAGE: 2,
  NOT_FOUND: 3,
  AMBIGUOUS: 4,
  CONFLICT: 5,
  REFUSED: 6,
  NOT_RUNNING: 7,
  NO_PROXY: 8,
  TIMEOUT: 9,
  ATTACH_FAILED: 10,
  STORE: 11,
  INTERRUPTED: 130,
  TERMINATED: 143,
} as const

export type ErrorCode = keyof typeof EXIT_CODES

export interface ErrorOptions {
  /** What to do next, as a sentence or a command to paste. */
  hint?: string
  /** The outside's own words, already cleaned. */
  detail?: string
  /** For AMBIGUOUS: what the selector names, each with a selector to paste. */
  candidates?: { selector: string; description: string }[]
  cause?: unknown
}

/** An error that a user can meet: everything else that is thrown is a fault of qusb. */
export class QusbError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly detail: string | undefined
  readonly candidates: { selector: string; description: string }[] | undefined

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'QusbError'
    this.code = code
    this.hint = options.hint
    this.detail = options.detail
    this.candidates = options.candidates
  }

  get exitCode(): number {
    return EXIT_CODES[this.code]
  }
}

/** What `--json` prints under `error`: a user's error as it is, anything else as INTERNAL. */
export function errorToJson(error: unknown): {
  code: ErrorCode
  message: string
  hint: string | null
  detail: string | null
  candidates?: { selector: string; description: string }[]
} {
  if (error instanceof QusbError) {
    return {
      code: error.code,
      message: error.message,
      hint: error.hint ?? null,
      detail: error.detail ?? null,
      ...(error.candidates === undefined ? {} : { candidates: error.candidates }),
    }
  }
  return {
    code: 'INTERNAL',
    message: error instanceof Error ? error.message : String(error),
    hint: 'This is a fault of qusb: run it again with --debug and report what it prints.',
    detail: null,
  }
}

/** The exit code for anything thrown. */
export function exitCodeOf(error: unknown): number {
  return error instanceof QusbError ? error.exitCode : EXIT_CODES.INTERNAL
}
