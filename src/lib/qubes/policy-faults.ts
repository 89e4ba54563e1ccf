import { basename } from 'node:path'
import type { Site } from '../site/site.ts'
import { listPolicyFiles, type RulePlace, readPolicyFile } from './policy.ts'

/** What makes policy unreadable: then every call of the whole system is denied (docs/facts.md#broken-policy). */
export interface PolicyFault extends RulePlace {
  /** 0 in `line`: the file itself. */
  what: string
}

/** Names that qrexec takes (qubes-core-qrexec, policy/parser.py, `filter_filepaths`). */
const FILE_NAME = /^[a-z0-9_.-]+$/

/** Options by action, in that parser's words. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  allow: ['user', 'target', 'notify', 'autostart'],
  ask: ['user', 'target', 'default_target', 'notify', 'autostart'],
  deny: ['notify'],
}

const MOST_FAULTS = 20

/**
 * Reads all policy as qrexec does, with caution: what a later qrexec may know is no fault. What is included is not read.
 * @returns the faults, at most 20
 */
export function findPolicyFaults(site: Site): PolicyFault[] {
  const faults: PolicyFault[] = []
  for (const { file } of listPolicyFiles(site)) {
    if (!FILE_NAME.test(basename(file))) {
      faults.push({ file, line: 0, what: 'its name holds a capital letter or another that is not allowed' })
    }
    const lines = readPolicyFile(file)
    if (lines === undefined) faults.push({ file, line: 0, what: 'it cannot be read' })
    for (const [i, line] of (lines ?? []).entries()) {
      const what = findLineFault(line)
      if (what !== undefined) faults.push({ file, line: i + 1, what })
    }
  }
  return faults.slice(0, MOST_FAULTS)
}

/** @returns what is wrong with a line of policy; undefined where nothing is known to be */
export function findLineFault(text: string): string | undefined {
  const line = text.trim()
  if (line === '' || line.startsWith('#')) return undefined
  const words = line.split(/\s+/)
  const [service = '', argument = '', , , action = '', ...options] = words
  if (line.startsWith('!')) {
    return /^!(include|include-dir|include-service|compat-[0-9.]+)$/.test(service)
      ? undefined
      : 'it begins with no known directive'
  }
  if (words.length < 5)
    return `it has ${words.length} of the five words SERVICE ARGUMENT SOURCE TARGET ACTION`
  if (argument !== '*' && !argument.startsWith('+')) return 'its argument is neither * nor +ARGUMENT'
  if (service === '*' && argument !== '*') return 'the service * goes with the argument * only'
  const known = Object.hasOwn(OPTIONS, action) ? OPTIONS[action] : undefined
  if (known === undefined) return 'its action is none of allow, ask and deny'
  return findOptionFault(options, known)
}

function findOptionFault(options: readonly string[], known: readonly string[]): string | undefined {
  const seen = new Set<string>()
  for (const option of options) {
    const equals = option.indexOf('=')
    const name = option.slice(0, Math.max(0, equals))
    if (equals < 0) return 'an option is not NAME=VALUE'
    if (seen.has(name)) return `the option ${name} stands there twice`
    seen.add(name)
    const value = option.slice(equals + 1)
    if (
      (name === 'notify' || name === 'autostart') &&
      known.includes(name) &&
      value !== 'yes' &&
      value !== 'no'
    ) {
      return `${name} is neither yes nor no`
    }
  }
  return undefined
}
