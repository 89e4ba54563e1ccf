import type { Device } from '../model/device.ts'
import type { QubeName } from '../model/names.ts'
import { isGuess, whyNotSelected } from './mismatch.ts'
import { DEFAULT_OPTIONS, type RuleOptions } from './options.ts'
import { type Action, type Rule, ruleLabel } from './rule.ts'

/** A device as rules see it. */
export interface Candidate {
  device: Device
  /** The name that a list shows; read only for a rule about a name. */
  description: string
  /** The serial that its backend publishes, where that is another than the device's own: either counts. */
  publishedSerial: string | null
  /** The aliases that name it. */
  aliases: readonly string[]
}

/** What else a decision hangs on. */
export interface Circumstances {
  /** The qubes that run. */
  running: ReadonlySet<QubeName>
}

/** What was made of one rule. */
export interface Consideration {
  rule: Rule
  /** wins: it decides. beaten: it is about the device, and an earlier one decided. no-match: it is not about it. */
  outcome: 'wins' | 'beaten' | 'no-match'
  /** In words; without a full stop. */
  why: string
}

/** What the rules say of one device. */
export interface Decision {
  /** none: no rule is about it, so nothing is done. */
  action: Action | 'none'
  /** The rule that wins; null for none. */
  rule: Rule | null
  /** Who gets it; null where it is denied or nobody does. */
  frontend: QubeName | null
  options: RuleOptions
  /** Every rule in its order, and what was made of it. */
  considered: Consideration[]
}

/**
 * Decides by the first rule that is about the device. Pure.
 * @param rules in their order
 */
export function decide(rules: readonly Rule[], candidate: Candidate, circumstances: Circumstances): Decision {
  const against = rules.map((rule) => whyNot(rule, candidate, circumstances))
  const winner = rules[against.indexOf(undefined)] ?? null
  const considered = rules.map((rule, i): Consideration => {
    const why = against[i]
    if (why !== undefined) return { rule, outcome: 'no-match', why }
    if (winner === null || rule === winner) return { rule, outcome: 'wins', why: whyWins(rule, candidate) }
    return {
      rule,
      outcome: 'beaten',
      why: `it is about this device too, and ${ruleLabel(winner)} comes first`,
    }
  })
  return {
    action: winner?.action ?? 'none',
    rule: winner,
    frontend: winner === null || winner.action === 'deny' ? null : winner.frontend,
    options: winner?.options ?? DEFAULT_OPTIONS,
    considered,
  }
}

function whyWins(rule: Rule, candidate: Candidate): string {
  return isGuess(rule, candidate)
    ? 'the device shows no interface, so it may be one'
    : 'it is the first that is about this device'
}

/** Why a rule is not about a device; undefined where it is. */
function whyNot(rule: Rule, candidate: Candidate, { running }: Circumstances): string | undefined {
  const { device } = candidate
  // As with selectors: what is hidden on purpose, and hubs, are never meant by what they are.
  if (device.hub) return 'it is a hub, and rules are about what is behind it'
  if (device.hidden) return `${device.backend} hides it on purpose`
  if (rule.backend !== null && rule.backend !== device.backend) {
    return `it is in ${device.backend}, not in ${rule.backend}`
  }
  const why = rule.device === null ? undefined : whyNotSelected(rule.device, candidate, rule.action)
  if (why !== undefined) return why
  if (rule.options.whenRunning && rule.frontend !== null && !running.has(rule.frontend)) {
    return `${rule.frontend} does not run, and the rule says when-running=yes`
  }
  return undefined
}
