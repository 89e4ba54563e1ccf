import { chmodSync, closeSync, constants, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { QusbError } from '../errors.ts'
import type { Site } from '../site/site.ts'
import { CONFIG_FILE_MODE, withConfigLock } from '../store/config-lock.ts'
import { checkDirectory } from '../store/directory.ts'
import { errnoOf, storeError } from '../store/failure.ts'
import { openPlainFile, readWhole } from '../store/plain-file.ts'
import { removeTemporaries, replaceFile } from '../store/replace-file.ts'
import { insertLines, removeLines } from './edit.ts'
import { RULE_FILE_LIMIT, requireRules, rulesDirectoryOf } from './load.ts'
import { RULES_LIMIT } from './parse.ts'
import { formatRule, type Rule, type RuleTerms, ruleLabel } from './rule.ts'
import { ruleId } from './rule-id.ts'

/** The file that `qusb rule add` writes. */
const OWN_FILE = '50-qusb.rules'

const TOO_MANY = 'Remove rules that you no longer need: qusb rule list.'

/** What a change did. */
export interface RuleChange {
  /** The file that was written, or would have been. */
  file: string
  /** The rules that were added or removed. */
  changed: readonly Rule[]
}

export function ownFileOf(site: Site): string {
  return join(rulesDirectoryOf(site), OWN_FILE)
}

/**
 * Adds rules to the file of qusb, but those that are there already.
 * @param options.first before the other rules of that file
 * @throws QusbError USAGE where the rules are broken; STORE; the signal's reason
 */
export async function addRules(
  site: Site,
  signal: AbortSignal,
  terms: readonly RuleTerms[],
  options: { first: boolean },
): Promise<RuleChange> {
  const file = ownFileOf(site)
  return await withRulesLock(site, signal, () => {
    const rules = requireRules(site)
    const known = new Set(rules.map(formatRule))
    const lines = [...new Set(terms.map(formatRule))].filter((line) => !known.has(line))
    if (lines.length === 0) return { file, changed: [] }
    if (rules.length + lines.length > RULES_LIMIT) {
      throw new QusbError('STORE', `there would be more than ${RULES_LIMIT} rules`, { hint: TOO_MANY })
    }
    const content = insertLines(existsSync(file) ? read(file) : undefined, lines, options.first)
    write(file, content)
    const added = new Set(lines)
    // Read again: what was written is what counts from now on.
    const changed = requireRules(site).filter((rule) => rule.file === file && added.has(rule.source))
    return { file, changed }
  })
}

/**
 * Removes rules by their ids, each only where its line is exactly as it was listed.
 * @throws QusbError NOT_FOUND for an id that no rule has (any more); USAGE where the rules are broken; STORE
 */
export async function removeRules(
  site: Site,
  signal: AbortSignal,
  ids: readonly string[],
): Promise<readonly Rule[]> {
  return await withRulesLock(site, signal, () => {
    const rules = requireRules(site)
    const gone = rules.filter((rule) => ids.includes(ruleId(rule)))
    const unknown = ids.find((id) => !gone.some((rule) => ruleId(rule) === id))
    if (unknown !== undefined) {
      throw new QusbError('NOT_FOUND', `no rule has the id "${unknown}"; nothing was removed`, {
        hint: 'A rule that was edited has another id: see qusb rule list.',
      })
    }
    for (const file of new Set(gone.map((rule) => rule.file))) {
      const here = gone.filter((rule) => rule.file === file)
      const content = read(file)
      const lines = content.split('\n')
      const moved = here.find((rule) => lines[rule.line - 1] !== rule.source)
      if (moved !== undefined) {
        throw new QusbError('CONFLICT', `${ruleLabel(moved)} was edited this very moment`, {
          hint: 'See what is there now: qusb rule list.',
        })
      }
      write(file, removeLines(content, new Set(here.map((rule) => rule.line))))
    }
    return gone
  })
}

async function withRulesLock<T>(site: Site, signal: AbortSignal, work: () => T): Promise<T> {
  return await withConfigLock(site, 'rules', signal, () => {
    const directory = rulesDirectoryOf(site)
    if (checkDirectory(directory) === undefined) makeDirectory(directory)
    removeTemporaries(directory)
    return work()
  })
}

/** As `setup dom0` makes it: its group writes, everybody reads. */
function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory)
    // mkdir(2) drops the setgid bit and applies the umask.
    chmodSync(directory, 0o2775)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw storeError('make the directory', directory, error)
  }
}

function read(file: string): string {
  try {
    const opened = openPlainFile(file, constants.O_RDONLY)
    try {
      return readWhole(file, opened, RULE_FILE_LIMIT).toString('utf8')
    } finally {
      closeSync(opened.fd)
    }
  } catch (error) {
    throw storeError('read', file, error)
  }
}

/** What could not be read again is not written. */
function write(file: string, content: string): void {
  if (Buffer.byteLength(content) > RULE_FILE_LIMIT) {
    throw new QusbError('STORE', `${file} would be larger than ${RULE_FILE_LIMIT} bytes`, {
      hint: TOO_MANY,
    })
  }
  replaceFile(file, content, { mode: CONFIG_FILE_MODE })
}
