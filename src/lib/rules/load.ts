import { closeSync, constants, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { QusbError } from '../errors.ts'
import type { Site } from '../site/site.ts'
import { SET_UP } from '../site/standpoint.ts'
import { aliasFileOf, readAliases } from '../store/aliases.ts'
import { checkDirectory } from '../store/directory.ts'
import { storeError } from '../store/failure.ts'
import { openPlainFile, readWhole } from '../store/plain-file.ts'
import { splitLine } from './line-words.ts'
import { parseRules, RULES_LIMIT, type RuleProblem } from './parse.ts'
import type { Rule } from './rule.ts'

/** The rules of this dom0, or why none of them counts. */
export type LoadedRules = { rules: readonly Rule[] } | { problems: readonly RuleProblem[] }

const FILES_LIMIT = 64
/** A file of rules, bytes. */
export const RULE_FILE_LIMIT = 64 * 1024

export function rulesDirectoryOf(site: Site): string {
  return join(site.configDir, 'rules.d')
}

/**
 * Reads every `*.rules` of rules.d in the order of their names. A problem in one refuses all: nothing is attached on
 * half a policy. Where there is no directory there are no rules.
 *
 * Trust is the directory's, as with the store: root's or the user's own, and not writable by everybody; in it plain
 * files only.
 */
export function loadRules(site: Site): LoadedRules {
  const directory = rulesDirectoryOf(site)
  let files: string[]
  try {
    for (const at of [site.configDir, directory]) if (checkDirectory(at) === undefined) return { rules: [] }
    files = listRuleFiles(directory)
  } catch (error) {
    const { message } = storeError('list', directory, error)
    return { problems: [about(directory, message, `Look at what is in it, then run ${SET_UP}.`)] }
  }
  if (files.length > FILES_LIMIT) {
    return { problems: [about(directory, `there are more than ${FILES_LIMIT} files of rules`)] }
  }
  const read = files.map((file) => readRuleFile(file))
  const problems = read.flatMap((each) => each.problems)
  const rules = read.flatMap((each) => each.rules)
  if (rules.length > RULES_LIMIT) problems.push(about(directory, `there are more than ${RULES_LIMIT} rules`))
  problems.push(...findUnknownAliases(site, rules))
  return problems.length > 0 ? { problems } : { rules }
}

/** The rules about an alias, also where others are broken or it is not there any more. */
export function findRulesAbout(site: Site, alias: string): Rule[] {
  const directory = rulesDirectoryOf(site)
  try {
    for (const at of [site.configDir, directory]) if (checkDirectory(at) === undefined) return []
    return listRuleFiles(directory)
      .slice(0, FILES_LIMIT)
      .flatMap((file) => readRuleFile(file).rules)
      .filter(({ device, deviceText }) => device?.kind === 'alias' && deviceText === alias)
  } catch {
    // What keeps them from being read keeps them from counting, and `rule check` tells of it.
    return []
  }
}

/**
 * The rules, for a command that cannot do without.
 * @throws QusbError USAGE with the first problem
 */
export function requireRules(site: Site): readonly Rule[] {
  const loaded = loadRules(site)
  if ('rules' in loaded) return loaded.rules
  throw brokenRules(loaded.problems)
}

/** The error of rules that cannot be used. */
export function brokenRules(problems: readonly RuleProblem[]): QusbError {
  const [first] = problems
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''
  return new QusbError(
    'USAGE',
    `the rules are broken, so none of them counts: ${first === undefined ? 'unknown reason' : describeProblem(first)}${more}`,
    { hint: `${first?.hint ?? 'Mend it.'} See all: qusb rule check` },
  )
}

/** `/etc/qusb/rules.d/50-qusb.rules:3:12: there is no action "alow"` */
export function describeProblem({ file, line, column, message }: RuleProblem): string {
  return `${[file, line, column].filter((part) => part !== null).join(':')}: ${message}`
}

function listRuleFiles(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.rules') && !name.startsWith('.'))
    .sort((a, b) => (a < b ? -1 : 1))
    .map((name) => join(directory, name))
}

/** A rule about a name that no device has any more could be the one that was to deny it. */
export function findUnknownAliases(site: Site, rules: readonly Rule[]): RuleProblem[] {
  const named = rules.filter((rule) => rule.device?.kind === 'alias')
  if (named.length === 0) return []
  let known: Set<string>
  try {
    known = new Set(readAliases(site).map(({ name }) => name))
  } catch (error) {
    if (!(error instanceof QusbError)) throw error
    return [about(aliasFileOf(site), error.message, error.hint)]
  }
  return named
    .filter((rule) => !known.has(rule.deviceText))
    .map(({ file, line, source, deviceText }) => {
      const words = splitLine(source)
      const column = 'message' in words ? null : (words[0]?.column ?? null)
      const message = `there is no alias "${deviceText}"`
      return { file, line, column, message, hint: 'See those there are: qusb alias list' }
    })
}

/** One file; what keeps it from being read is a problem of it. */
export function readRuleFile(file: string): { rules: Rule[]; problems: RuleProblem[] } {
  try {
    const opened = openPlainFile(file, constants.O_RDONLY)
    try {
      return parseRules(readWhole(file, opened, RULE_FILE_LIMIT).toString('utf8'), file)
    } finally {
      closeSync(opened.fd)
    }
  } catch (error) {
    const { message, hint } = storeError('read', file, error)
    return { rules: [], problems: [about(file, message, hint)] }
  }
}

function about(file: string, message: string, hint?: string): RuleProblem {
  return { file, line: null, column: null, message, hint: hint ?? null }
}
