import { QusbError } from '../errors.ts'
import { findBackends } from '../passthrough/backends.ts'
import type { Context } from '../passthrough/context.ts'
import { lookWithStore } from '../passthrough/list.ts'
import { failureToWarning } from '../passthrough/look.ts'
import { namingOf } from '../passthrough/naming.ts'
import type { Warning } from '../passthrough/results.ts'
import { candidatesOf } from './candidates.ts'
import type { Candidate } from './decide.ts'

/**
 * The devices that are there now, as rules see them; none where no backend runs.
 * @returns hubs and what is hidden on purpose left out
 */
export async function findPresent(
  context: Context,
): Promise<{ candidates: Candidate[]; warnings: Warning[] }> {
  const naming = namingOf(context.site)
  const aliases = naming.aliases()
  try {
    const { seen, warnings } = await lookWithStore(context, await findBackends(context))
    const surveys = [...seen.surveys.values()]
    const nameOf = naming.namesOf(surveys.flatMap(({ devices }) => devices))
    const candidates = surveys
      .flatMap((survey) => candidatesOf(survey, aliases, nameOf))
      .filter(({ device }) => !device.hub && !device.hidden)
    return { candidates, warnings: [...warnings, ...[...seen.failures.values()].map(failureToWarning)] }
  } catch (error) {
    if (!(error instanceof QusbError) || error.code !== 'NOT_FOUND') throw error
    return {
      candidates: [],
      warnings: [{ qube: null, code: error.code, message: error.message, hint: error.hint ?? null }],
    }
  }
}
