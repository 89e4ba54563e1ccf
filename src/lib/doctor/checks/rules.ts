import { listAliases } from '../../rules/aliases.ts'
import { describeProblem, loadRules, rulesDirectoryOf } from '../../rules/load.ts'
import { type Check, fault, orWell, warn, well } from '../check.ts'

export const rulesCheck: Check = {
  id: 'rules',
  title: 'rules',
  about: 'Whether they are in force: one fault puts all of them out of it.',
  run: ({ context: { site } }) => {
    const loaded = loadRules(site)
    if ('problems' in loaded) {
      return loaded.problems.map((problem) =>
        fault('USAGE', `${describeProblem(problem)}; while it stands, no rule counts`, {
          fix: problem.hint ?? null,
        }),
      )
    }
    const count = loaded.rules.length
    return [well(count === 0 ? 'none' : `${count} in ${rulesDirectoryOf(site)}`)]
  },
}

export const aliasesCheck: Check = {
  id: 'aliases',
  title: 'aliases',
  about: 'Whether the name of one is also that of a qube.',
  run: async ({ context }) => {
    const { aliases, warnings } = await listAliases(context)
    const findings = warnings.map(({ message, hint }) => warn(message, { fix: hint }))
    return orWell(findings, aliases.length === 0 ? 'none' : aliases.map(({ name }) => name).join(', '))
  },
}
