import { cleanText } from '../../model/text.ts'

/** What qubesd answered to one call (docs/facts.md#answers). Texts of an exception are clean. */
export type Answer =
  | { kind: 'data'; data: Buffer }
  | { kind: 'exception'; type: string; message: string }
  /** Nothing at all: how qubesd refuses a call, and what it says to one that it does not know. */
  | { kind: 'empty' }
  | { kind: 'malformed' }

const MESSAGE_LIMIT = 500

/** Reads a whole answer: `0\0DATA` or `2\0TYPE\0TRACEBACK\0FORMAT\0[ARG\0…]`. */
export function parseAnswer(answer: Buffer): Answer {
  if (answer.length === 0) return { kind: 'empty' }
  if (answer[1] !== 0) return { kind: 'malformed' }
  if (answer[0] === 0x30) return { kind: 'data', data: answer.subarray(2) }
  if (answer[0] !== 0x32) return { kind: 'malformed' }
  const [type = '', , format, ...rest] = answer.subarray(2).toString('utf8').split('\0')
  if (format === undefined || !/^[A-Za-z_][A-Za-z0-9_.]{0,127}$/.test(type)) return { kind: 'malformed' }
  // Every field ends in a NUL, so what stands behind the last is no field.
  const message = cleanText(formatPercent(format, rest.slice(0, -1)), MESSAGE_LIMIT).text
  return { kind: 'exception', type, message: message === '' ? type : message }
}

/**
 * Python's `%` formatting as far as messages use it. qubesd sends most messages ready-made, and then a `%` in them is
 * only a `%`: a conversion without an argument stays as it is.
 */
export function formatPercent(format: string, args: readonly string[]): string {
  let next = 0
  return format.replace(/%(?:%|[-+#0]*[0-9]*(?:\.[0-9]+)?([a-zA-Z]))/g, (whole, conversion?: string) => {
    if (conversion === undefined) return '%'
    const arg = args[next]
    if (arg === undefined) return whole
    next++
    return conversion === 'r' ? `'${arg}'` : arg
  })
}
