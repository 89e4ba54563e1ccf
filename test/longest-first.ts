import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * The files that take more than ten seconds on a machine with two cores, or five seconds of a processor, below test/,
 * the longest first: begun last, one of them would run alone to the end. `npm run check` leaves them out.
 */
export const LONG = [
  'e2e/kernel-stress',
  'e2e/faults',
  'e2e/faults-elsewhere',
  'e2e/kernel-names',
  'e2e/kernel-faults',
  'e2e/kernel-attach',
  'e2e/crash',
  'e2e/interrupted',
  'e2e/kernel-main-job',
  'e2e/truth',
  'e2e/management-qubesd',
  'e2e/qubesd',
  'e2e/kernel-limits',
  'e2e/doctor',
  'package/rpm',
  'e2e/completion',
  'e2e/disk',
  'package/library',
  'e2e/run',
  'e2e/move',
  'e2e/names',
  'docs/examples',
  'e2e/watch',
  'e2e/rules',
  'e2e/auto',
  'lab/kernel/emulated',
  'e2e/crowd',
  'lab/process/proxy',
  'lib/store/crowd',
  'e2e/refusals',
  'lab/lifecycle',
  'e2e/setup-backend',
  'e2e/management',
  'e2e/management-unseen',
  'lab/kernel/kept-machine',
  'e2e/auto-storm',
  'e2e/auto-asking',
  'e2e/main-job',
  'e2e/early-locks',
  'lib/qubes/survey-parser-hostile',
  'lib/store/lock',
  'lib/store/history',
].map((name) => `test/${name}.test.ts`)

/** Takes the whole machine for itself: begun when nothing else is left. */
const ALONE = 'test/e2e/crowd.test.ts'

/** Begins with what takes longest, so that the workers end together. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      if (moduleId.endsWith(`/${ALONE}`)) return LONG.length + 1
      const place = LONG.findIndex((name) => moduleId.endsWith(`/${name}`))
      return place === -1 ? LONG.length : place
    }
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other))
  }
}
