import { basename } from 'node:path'
import type { QubeName } from '../model/names.ts'
import type { Selector } from '../model/selector.ts'
import { formatOptions, type RuleOptions } from './options.ts'

/** What is done with a device that the rule is about. */
export const ACTIONS = ['allow', 'ask', 'deny'] as const
export type Action = (typeof ACTIONS)[number]

/** Stands for any device, and for any backend. */
export const ANY = '*'
/** Stands for no frontend. */
export const NONE = '@none'

/** What a rule says, wherever it stands. */
export interface RuleTerms {
  /** As it is written, without quotes. */
  deviceText: string
  /** null: any device. */
  device: Selector | null
  /** null: any backend. */
  backend: QubeName | null
  /** null: nobody, `@none`; only where the action is deny. */
  frontend: QubeName | null
  action: Action
  options: RuleOptions
}

/** A rule of a file. */
export interface Rule extends RuleTerms {
  /** Absolute path. */
  file: string
  /** From 1. */
  line: number
  /** The line as it stands in the file, without its newline. */
  source: string
}

/** Where a rule stands, for people and for the history: `50-qusb.rules:3`. */
export function ruleLabel(rule: Pick<Rule, 'file' | 'line'>): string {
  return `${basename(rule.file)}:${rule.line}`
}

/** A rule as a line of a file, in one spelling; reads back as the same rule. */
export function formatRule(
  rule: Pick<RuleTerms, 'deviceText' | 'action' | 'options'> & {
    backend: string | null
    frontend: string | null
  },
): string {
  return [
    quoteField(rule.deviceText),
    rule.backend ?? ANY,
    rule.frontend ?? NONE,
    rule.action,
    ...formatOptions(rule.options),
  ].join('  ')
}

/** A field as it is written in a file: in quotes where it would not be read back as one word. */
export function quoteField(text: string): string {
  if (!/[\s"]|^#|^$/u.test(text)) return text
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}
