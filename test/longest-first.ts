import { basename } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** The files that take minutes, the longest first: begun last, one of them would run alone to the end. */
const LONG = [
  'kernel-stress',
  'faults',
  'kernel-faults',
  'crash',
  'kernel-attach',
  'truth',
  'qubesd',
  'kernel-limits',
]

/** Begins with what takes longest, so that the workers end together. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = LONG.indexOf(basename(moduleId, '.test.ts'))
      return place === -1 ? LONG.length : place
    }
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other))
  }
}
