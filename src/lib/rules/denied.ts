import { classPrefixes } from '../model/interface-class.ts'
import type { QubeName } from '../model/names.ts'
import type { Context } from '../passthrough/context.ts'
import type { Candidate } from './decide.ts'
import { decide } from './decide.ts'
import { type Finding, showRule } from './results.ts'
import type { Rule } from './rule.ts'

/**
 * Rules that give a frontend what its list of denied interfaces in qubesd keeps from it: told from the rule itself where
 * that says its interfaces, and from the devices that are there.
 */
export async function findDenied(
  context: Context,
  rules: readonly Rule[],
  candidates: readonly Candidate[],
): Promise<Finding[]> {
  const frontends = new Set(
    rules.flatMap(({ action, frontend }) => (action === 'deny' ? [] : (frontend ?? []))),
  )
  if (frontends.size === 0) return []
  return await context.directory.askMore<Finding[]>(
    'what qubes are denied',
    context.signal,
    [],
    async (asking, qubes) => {
      const [{ askForDenied }, { findDenial }] = await Promise.all([
        import('../qubes/admin/ask.ts'),
        import('../qubes/admin/device-lines.ts'),
      ])
      const lists = new Map<QubeName, readonly string[]>()
      for (const name of frontends) if (qubes.has(name)) lists.set(name, await askForDenied(asking, name))

      const findings = new Map<Rule, Finding>()
      const tell = (rule: Rule, entry: string, what: string): void => {
        if (findings.has(rule)) return
        findings.set(rule, {
          code: 'denied',
          rule: showRule(rule),
          message: `${rule.frontend} is denied devices with the interface ${entry}, and ${what}`,
          hint: `The list is that of: qvm-device usb deny list ${rule.frontend}`,
        })
      }
      for (const rule of rules) {
        const list = rule.action === 'deny' || rule.frontend === null ? [] : (lists.get(rule.frontend) ?? [])
        const entry = list.find((each) => meantPrefixes(rule).some((prefix) => isAbout(each, prefix)))
        if (entry !== undefined) tell(rule, entry, `the rule gives it such devices`)
      }
      for (const candidate of candidates) {
        const { rule, frontend } = decide(rules, candidate, { running: frontends })
        const { interfaces, backend, port } = candidate.device
        const entry = frontend === null ? undefined : findDenial(lists.get(frontend) ?? [], interfaces)
        if (rule !== null && entry !== undefined) {
          tell(rule, entry, `${backend}:${port} (${candidate.description}) has one`)
        }
      }
      return [...findings.values()]
    },
  )
}

/** The beginnings of the interface codes that a rule is about, as far as it says them. */
function meantPrefixes({ device }: Rule): readonly string[] {
  if (device?.kind === 'class') return classPrefixes(device.word)
  return device?.kind === 'full' ? device.interfaces : []
}

/** Whether an entry, `u03****`, is about every interface whose code begins so. */
function isAbout(entry: string, prefix: string): boolean {
  return entry.startsWith('u') && [...entry.slice(1)].every((want, i) => want === '*' || want === prefix[i])
}
