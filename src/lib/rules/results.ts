import * as z from 'zod/mini'
import { hex4Schema, interfaceCodeSchema, portSchema, qubeNameSchema } from '../model/fields.ts'
import { SERIAL_LIMIT } from '../model/identity.ts'
import { failureSchema, warningSchema } from '../passthrough/results.ts'
import { ACTIONS, formatRule, type Rule, type RuleTerms } from './rule.ts'
import { ruleId } from './rule-id.ts'

/** What the commands about rules return and `--json` prints: fields may be added, none changes its meaning. */
const schema = z.literal(1)

const optionsSchema = z.object({
  start: z.boolean(),
  whenRunning: z.boolean(),
  /** Seconds. */
  delay: z.int(),
  retry: z.int(),
  notify: z.boolean(),
})

/** What a rule says. */
const termsSchema = z.object({
  /** A selector, or `*`. */
  device: z.string(),
  /** null: any. */
  backend: z.nullable(qubeNameSchema),
  /** null: nobody. */
  frontend: z.nullable(qubeNameSchema),
  action: z.enum(ACTIONS),
  options: optionsSchema,
  /** As a file has it, in one spelling. */
  text: z.string(),
})
export type ShownTerms = z.infer<typeof termsSchema>

const ruleSchema = z.extend(termsSchema, {
  /** What `qusb rule remove` takes. */
  id: z.string().check(z.regex(/^[0-9a-f]{8}$/)),
  file: z.string(),
  line: z.int().check(z.positive()),
})
export type ShownRule = z.infer<typeof ruleSchema>

export function showTerms(terms: RuleTerms): ShownTerms {
  const { deviceText: device, backend, frontend, action, options } = terms
  return { device, backend, frontend, action, options, text: formatRule(terms) }
}

export function showRule(rule: Rule): ShownRule {
  return { ...showTerms(rule), id: ruleId(rule), file: rule.file, line: rule.line }
}

const ruleListSchema = z.object({ schema, rules: z.array(ruleSchema) })
export type RuleList = z.infer<typeof ruleListSchema>

/** Something that was not taken over, and why. */
const leftOutSchema = z.object({ what: z.string(), why: z.string() })
export type LeftOut = z.infer<typeof leftOutSchema>

const ruleAddedSchema = z.object({
  schema,
  changed: z.boolean(),
  /** The rules that were added: none where they were there already, or with --dry-run. */
  rules: z.array(ruleSchema),
  /** The file they are in. */
  file: z.string(),
  /** How many of those that were asked for were there already. */
  already: z.int(),
  /** With --dry-run: what would be added. */
  plan: z.optional(z.array(termsSchema)),
  /** What an import did not take over. */
  leftOut: z.array(leftOutSchema),
  warnings: z.array(warningSchema),
})
export type RuleAdded = z.infer<typeof ruleAddedSchema>

const ruleRemovedSchema = z.object({ schema, changed: z.boolean(), rules: z.array(ruleSchema) })
export type RuleRemoved = z.infer<typeof ruleRemovedSchema>

const findingSchema = z.object({
  /**
   * never-wins: an earlier rule leaves nothing for it. no-effect: a part of it says nothing. no-qube: a name that no qube
   * has. assignment: qubesd has another plan for the device. denied: its frontend may not have such a device.
   */
  code: z.enum(['never-wins', 'no-effect', 'no-qube', 'assignment', 'denied']),
  rule: z.nullable(ruleSchema),
  message: z.string(),
  hint: z.nullable(z.string()),
})
export type Finding = z.infer<typeof findingSchema>

const ruleCheckSchema = z.object({
  schema,
  /** What keeps every rule from counting; then there is an error, too. */
  problems: z.array(
    z.object({
      file: z.string(),
      line: z.nullable(z.int().check(z.positive())),
      column: z.nullable(z.int().check(z.positive())),
      message: z.string(),
      hint: z.nullable(z.string()),
    }),
  ),
  /** What is worth a look in rules that count. */
  findings: z.array(findingSchema),
  rules: z.array(ruleSchema),
  warnings: z.array(warningSchema),
  error: z.optional(failureSchema),
})
export type RuleCheck = z.infer<typeof ruleCheckSchema>

const foreseenSchema = z.object({
  schema,
  device: z.object({
    /** It is there; else it was told of in full and nobody sees it. */
    plugged: z.boolean(),
    backend: qubeNameSchema,
    port: z.nullable(portSchema),
    vendorId: hex4Schema,
    productId: hex4Schema,
    serial: z.nullable(z.string().check(z.maxLength(SERIAL_LIMIT))),
    interfaces: z.array(interfaceCodeSchema),
    description: z.string(),
    aliases: z.array(z.string()),
  }),
  /** What the rules say. */
  action: z.enum([...ACTIONS, 'none']),
  rule: z.nullable(ruleSchema),
  frontend: z.nullable(qubeNameSchema),
  options: optionsSchema,
  /**
   * What comes of it, if it were plugged in now. waits: until its frontend runs. refused: something else than the rules
   * says no.
   */
  outcome: z.enum(['attached', 'asked', 'waits', 'refused', 'denied', 'nothing']),
  /** What stands in the way, or is worth knowing. */
  notes: z.array(z.object({ code: z.string(), message: z.string(), hint: z.nullable(z.string()) })),
  /** Every rule in its order, and why it wins or does not. */
  considered: z.array(
    z.object({ rule: ruleSchema, outcome: z.enum(['wins', 'beaten', 'no-match']), why: z.string() }),
  ),
  warnings: z.array(warningSchema),
})
export type Foreseen = z.infer<typeof foreseenSchema>

const ruleSuggestionsSchema = z.object({
  schema,
  suggestions: z.array(
    z.object({
      rule: termsSchema,
      /** The device, in words. */
      about: z.string(),
      /** The rule that says the same already; null where there is none. */
      already: z.nullable(ruleSchema),
    }),
  ),
  warnings: z.array(warningSchema),
})
export type RuleSuggestions = z.infer<typeof ruleSuggestionsSchema>

const ruleExportSchema = z.object({
  schema,
  /** Commands for dom0, each as its words. Nothing was run. */
  commands: z.array(z.object({ rule: ruleSchema, words: z.array(z.string()), lost: z.array(z.string()) })),
  leftOut: z.array(z.object({ rule: ruleSchema, why: z.string() })),
  warnings: z.array(warningSchema),
})
export type RuleExport = z.infer<typeof ruleExportSchema>

/** Every document about rules, by the command that prints it. */
export const RULE_SCHEMAS = {
  'rule-list': ruleListSchema,
  'rule-add': ruleAddedSchema,
  'rule-import': ruleAddedSchema,
  'rule-remove': ruleRemovedSchema,
  'rule-check': ruleCheckSchema,
  'rule-test': foreseenSchema,
  explain: foreseenSchema,
  'rule-suggest': ruleSuggestionsSchema,
  'rule-export': ruleExportSchema,
} as const
