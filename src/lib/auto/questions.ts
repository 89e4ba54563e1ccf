/** A question that has two answers, and only one of them is yes. */
export interface YesNo {
  title: string
  /** Clean text, for people. */
  text: string
  /** How long to wait for an answer: none is no, ms. */
  timeoutMs: number
}

/**
 * Puts a question.
 * @param signal ends it: the device has gone
 * @returns whether somebody said yes; undefined where nobody can be asked
 */
export type Ask = (question: YesNo, signal: AbortSignal) => Promise<boolean | undefined>

/** Puts questions one after the other: two at once on one screen are answered wrongly. */
export function oneAtATime(ask: Ask): Ask {
  let last: Promise<unknown> = Promise.resolve()
  return async (question, signal) => {
    const answer = last.then(async () => (signal.aborted ? false : await ask(question, signal)))
    last = answer.catch(() => {})
    return await answer
  }
}
