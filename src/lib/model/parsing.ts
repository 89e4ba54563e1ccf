import type * as z from 'zod/mini'
import en from 'zod/v4/locales/en.js'

/** zod's words for what is wrong: `zod/mini`, which starts in a third of the time, comes without. */
export const WORDS = { error: en().localeError }

/** A schema that is used once in a run is not worth compiling: that takes zod longer than the parse. */
export const UNCOMPILED = { jitless: true }

/** For a file that a person may have written, read once in a run. */
export const ONCE = { ...WORDS, ...UNCOMPILED }

/** The first thing that is wrong, to follow the words "is not valid". */
export function tellFirstIssue({ issues: [issue] }: z.core.$ZodError): string {
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`
  return `${where}: ${issue?.message ?? 'unknown reason'}`
}
