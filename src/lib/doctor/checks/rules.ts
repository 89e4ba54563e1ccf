import { describeProblem, loadRules, rulesDirectoryOf } from '../../rules/load.ts'
import { type Check, fault, well } from '../check.ts'

export const rulesCheck: Check = {
  id: 'rules',
  title: 'rules',
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
