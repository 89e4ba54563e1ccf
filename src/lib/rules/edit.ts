import { splitLine } from './line-words.ts'

/** What stands at the head of the file that qusb writes. */
const HEAD = `# Rules of qusb, one a line; the first that is about a device decides. See qusb.rules(5).
# device  backend  frontend  action  [option=value...]
`

/**
 * Puts lines into a file of rules.
 * @param content undefined: there is no file yet
 * @param first before the other rules of the file, else after them
 */
export function insertLines(content: string | undefined, lines: readonly string[], first: boolean): string {
  const before = content ?? HEAD
  const ended = before === '' || before.endsWith('\n') ? before : `${before}\n`
  const added = lines.map((line) => `${line}\n`).join('')
  if (!first) return ended + added
  const there = ended.split('\n')
  const at = there.findIndex((line) => holdsRule(line))
  const head =
    at < 0
      ? ended
      : there
          .slice(0, at)
          .map((line) => `${line}\n`)
          .join('')
  return head + added + ended.slice(head.length)
}

/** Takes lines out of a file. @param numbers from 1 */
export function removeLines(content: string, numbers: ReadonlySet<number>): string {
  return content
    .split('\n')
    .filter((_, i) => !numbers.has(i + 1))
    .join('\n')
}

function holdsRule(line: string): boolean {
  const words = splitLine(line)
  return 'message' in words || words.length > 0
}
