import type { Selector } from '../model/selector.ts'
import type { Rule, RuleTerms } from './rule.ts'

/**
 * The earlier rule that leaves nothing for this one: whatever this one is about, that one is about too. What cannot be
 * told from the two lines alone (a name's pattern in another) counts as not so.
 * @param earlier the rules before it, in their order
 */
export function findCover(earlier: readonly Rule[], rule: RuleTerms): Rule | undefined {
  return earlier.find((other) => covers(other, rule))
}

function covers(wide: RuleTerms, narrow: RuleTerms): boolean {
  if (wide.backend !== null && wide.backend !== narrow.backend) return false
  // It is passed over while its frontend does not run.
  const sometimes = wide.options.whenRunning
  if (sometimes && !(narrow.options.whenRunning && narrow.frontend === wide.frontend)) return false
  if (wide.device === null) return true
  return narrow.device !== null && coversDevice(wide.device, narrow.device)
}

function coversDevice(wide: Selector, narrow: Selector): boolean {
  if (wide.kind === 'identity' && (narrow.kind === 'identity' || narrow.kind === 'full')) {
    return (
      wide.vendorId === narrow.vendorId &&
      wide.productId === narrow.productId &&
      (wide.serial === null || wide.serial === narrow.serial)
    )
  }
  if (wide.kind === 'port' && narrow.kind === 'full') return wide.port === narrow.port
  return wide.kind === narrow.kind && wide.text === narrow.text
}
