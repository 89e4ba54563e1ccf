import { QusbError } from '../lib/errors.ts'

/** What a user of the lab asked that cannot be. */
export class LabError extends QusbError {
  constructor(message: string, hint?: string, options: { cause?: unknown } = {}) {
    super('USAGE', message, { ...options, ...(hint === undefined ? {} : { hint }) })
  }
}
