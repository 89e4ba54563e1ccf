/**
 * Lets what has come in meanwhile be heard, and what waits for it begin, before the caller goes on: for work that can as
 * well be done while others are at work.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
