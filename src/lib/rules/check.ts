import { errorToJson, type QusbError } from '../errors.ts'
import { aliasesOf } from '../model/alias.ts'
import type { QubeName } from '../model/names.ts'
import { findAssignments } from '../passthrough/assignments.ts'
import type { Context } from '../passthrough/context.ts'
import { whyNotThere } from '../passthrough/qube-directory.ts'
import type { Assignment } from '../qubes/admin/device-lines.ts'
import { isManagementQube } from '../site/standpoint.ts'
import { readAliases } from '../store/aliases.ts'
import { imagineDevice } from './candidates.ts'
import { findCover } from './covers.ts'
import { decide } from './decide.ts'
import { findDenied } from './denied.ts'
import { brokenRules, loadRules } from './load.ts'
import { DEFAULT_OPTIONS, formatOptions } from './options.ts'
import { findPresent } from './present.ts'
import { type Finding, type RuleCheck, showRule } from './results.ts'
import { type Rule, ruleLabel } from './rule.ts'

/**
 * Looks for what is wrong with the rules: problems, which keep all of them from counting, and findings, which are worth
 * a look. Where qubesd answers, its assignments and its deny lists are held against them.
 * @returns the result, and the failure where the rules are broken
 */
export async function checkRules(
  context: Context,
): Promise<{ result: RuleCheck; failure: QusbError | undefined }> {
  const loaded = loadRules(context.site)
  if ('problems' in loaded) {
    const failure = brokenRules(loaded.problems)
    const problems = loaded.problems.map((problem) => ({ ...problem }))
    return {
      result: { schema: 1, problems, findings: [], rules: [], warnings: [], error: errorToJson(failure) },
      failure,
    }
  }
  const { rules } = loaded
  const assigning = findAssignments(context)
  const { candidates, warnings } = await findPresent(context)
  const findings = [
    ...findInRules(rules),
    ...(await findUnknownQubes(context, rules)),
    ...findContradicted(context, rules, await assigning),
    ...(await findDenied(context, rules, candidates)),
  ]
  return {
    result: {
      schema: 1,
      problems: [],
      findings,
      rules: rules.map(showRule),
      warnings: [...warnings, ...context.directory.warnings()],
    },
    failure: undefined,
  }
}

/** What the rules themselves show. Pure. */
export function findInRules(rules: readonly Rule[]): Finding[] {
  return rules.flatMap((rule, i): Finding[] => {
    const findings: Finding[] = []
    const cover = findCover(rules.slice(0, i), rule)
    if (cover !== undefined) {
      findings.push({
        code: 'never-wins',
        rule: showRule(rule),
        message: `it never wins: ${ruleLabel(cover)} comes first and is about all that it is about`,
        hint: cover.action === rule.action ? 'Remove it.' : `Put it before ${ruleLabel(cover)}.`,
      })
    }
    const idle =
      rule.action === 'deny' ? formatOptions({ ...rule.options, notify: DEFAULT_OPTIONS.notify }) : []
    if (idle.length > 0) {
      findings.push({
        code: 'no-effect',
        rule: showRule(rule),
        message: `it denies, so ${idle.join(' and ')} ${idle.length === 1 ? 'says' : 'say'} nothing`,
        hint: null,
      })
    }
    if (rule.action === 'deny' && rule.frontend !== null) {
      findings.push({
        code: 'no-effect',
        rule: showRule(rule),
        message: `it denies the device to every qube, not to ${rule.frontend} alone`,
        hint: 'Write @none for the frontend.',
      })
    }
    return findings
  })
}

/** Names that no qube has, where qubesd tells. */
async function findUnknownQubes(context: Context, rules: readonly Rule[]): Promise<Finding[]> {
  const known = await context.directory.qubes()
  return rules.flatMap((rule) =>
    [rule.backend, rule.frontend].flatMap((name): Finding[] => {
      const absent = name === null ? undefined : whyNotThere(known, name, isManagementQube(context.site))
      if (absent?.code !== 'NOT_FOUND') return []
      return [{ code: 'no-qube', rule: showRule(rule), message: absent.message, hint: absent.hint ?? null }]
    }),
  )
}

/** Assignments of qubesd that want another thing than the rules: both act, and the first wins. */
function findContradicted(
  context: Context,
  rules: readonly Rule[],
  assignments: readonly Assignment[],
): Finding[] {
  if (assignments.length === 0) return []
  const aliases = readAliases(context.site)
  return assignments.flatMap((assignment): Finding[] => {
    const { backend, port, identity, frontend } = assignment
    const device = imagineDevice({
      backend,
      ...(port === null ? {} : { port }),
      vendorId: identity?.vendorId ?? '0000',
      productId: identity?.productId ?? '0000',
      serial: identity?.serial ?? null,
      interfaces: identity?.interfaces ?? [],
    })
    const candidate = { device, description: '', publishedSerial: null, aliases: aliasesOf(device, aliases) }
    // Rules that count while their frontend runs do so when it matters.
    const running = new Set(
      rules.flatMap((rule): QubeName[] => (rule.frontend === null ? [] : [rule.frontend])),
    )
    const decision = decide(rules, candidate, { running })
    if (decision.rule === null || decision.frontend === frontend) return []
    const what = describeAssignment(assignment)
    return [
      {
        code: 'assignment',
        rule: showRule(decision.rule),
        message: `it ${decision.frontend === null ? 'denies' : `gives to ${decision.frontend}`} what qubesd has assigned to ${frontend} (${assignment.mode}): ${what}`,
        hint: `Take one of them away: qvm-usb unassign ${frontend} ${what}`,
      },
    ]
  })
}

/** As qvm-usb takes it: BACKEND:PORT:DEVICE. */
function describeAssignment({ backend, port, identity }: Assignment): string {
  const device =
    identity === null
      ? '*'
      : `${identity.vendorId}:${identity.productId}:${identity.serial ?? ''}:${identity.interfaces.map((code) => `u${code}`).join('')}`
  return `${backend}:${port ?? '*'}:${device}`
}
