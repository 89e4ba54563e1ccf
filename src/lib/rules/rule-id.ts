import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import type { Rule } from './rule.ts'

/**
 * A name for a rule that is the same as long as its line is: eight hex digits of its file's name and its text. A number
 * would be another rule's after somebody's edit.
 */
export function ruleId({ file, source }: Pick<Rule, 'file' | 'source'>): string {
  return createHash('sha256')
    .update(`${basename(file)}\n${source}`)
    .digest('hex')
    .slice(0, 8)
}
