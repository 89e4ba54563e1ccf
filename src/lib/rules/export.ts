import { formatVidPid } from '../model/identity.ts'
import type { Context } from '../passthrough/context.ts'
import { type Candidate, decide } from './decide.ts'
import { requireRules } from './load.ts'
import { formatOptions } from './options.ts'
import { findPresent } from './present.ts'
import { type RuleExport, showRule } from './results.ts'
import type { Rule } from './rule.ts'

/**
 * The commands that give qubesd assignments which do what the rules do, as far as they can: qubesd assigns one device or
 * one port at a time, and knows a device by interfaces, too, so that a rule about what is not plugged in cannot be told.
 * @throws QusbError USAGE where the rules are broken
 */
export async function exportRules(context: Context): Promise<RuleExport> {
  const rules = requireRules(context.site)
  const { candidates, warnings } = await findPresent(context)
  const commands: RuleExport['commands'] = []
  const leftOut: RuleExport['leftOut'] = []
  for (const rule of rules) {
    const targets = findTargets(rule, rules, candidates)
    if (typeof targets === 'string') leftOut.push({ rule: showRule(rule), why: targets })
    else {
      for (const target of targets) {
        const words = [
          'qvm-usb',
          'assign',
          ...(rule.action === 'ask' ? ['--ask'] : []),
          rule.frontend ?? '',
          target,
        ]
        commands.push({ rule: showRule(rule), words, lost: formatOptions(rule.options) })
      }
    }
  }
  return { schema: 1, commands, leftOut, warnings }
}

/** What a rule is about, as `BACKEND:PORT:DEVICE` with `*` for any; or why qubesd cannot be told. */
function findTargets(
  rule: Rule,
  rules: readonly Rule[],
  candidates: readonly Candidate[],
): string[] | string {
  if (rule.action === 'deny' || rule.frontend === null) return 'an assignment gives a device, it denies none'
  const { device: selector } = rule
  switch (selector?.kind) {
    case undefined:
    case 'class':
    case 'name':
      return 'an assignment is about one device or one port, not about a kind of devices'
    case 'bus-address':
      return 'a bus address is another after every plug'
    case 'port':
      return rule.backend === null
        ? 'an assignment is about the port of one backend: name it in the rule'
        : [`${rule.backend}:${selector.port}:*`]
    case 'full':
      if (rule.backend === null) return 'an assignment is about the port of one backend: name it in the rule'
      return [`${rule.backend}:${selector.port}:${deviceId(selector)}`]
    case 'identity':
    case 'alias': {
      const mine = candidates.filter((candidate) => decideFor(rule, rules, candidate))
      if (mine.length === 0) {
        return 'qubesd must be told the interfaces, and no device of this rule is plugged in'
      }
      return [
        ...new Set(
          mine.map(({ device, publishedSerial }) => {
            const serial = publishedSerial ?? device.serial
            return `${device.backend}:*:${deviceId({ ...device, serial })}`
          }),
        ),
      ]
    }
  }
}

/** Whether this rule is the one that decides on the device. */
function decideFor(rule: Rule, rules: readonly Rule[], candidate: Candidate): boolean {
  const running = new Set(rules.flatMap(({ frontend }) => frontend ?? []))
  return decide(rules, candidate, { running }).rule === rule
}

/** As qubesd writes it: VID:PID:SERIAL:INTERFACES. */
function deviceId(identity: {
  vendorId: string
  productId: string
  serial: string | null
  interfaces: readonly string[]
}): string {
  return `${formatVidPid(identity)}:${identity.serial ?? ''}:${identity.interfaces.map((code) => `u${code}`).join('')}`
}
