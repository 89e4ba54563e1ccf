import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readChangelogTime } from '../reference/date.ts'

/** What a package is made of: it is the same whenever and wherever it is made again. */
export interface Origin {
  version: string
  /** null where the sources are in no repository. */
  commit: string | null
  /** The sources are not those of the commit. */
  modified: boolean
  /** Seconds since 1970 that everything in the package is dated with. */
  epoch: number
}

/**
 * Reads where the sources come from. SOURCE_DATE_EPOCH is heeded, as everywhere (reproducible-builds.org); else the
 * date is the commit's, and without a repository that of the newest version in CHANGELOG.md.
 * @param root the directory of package.json
 */
export function readOrigin(root: string, env: NodeJS.ProcessEnv): Origin {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const commit = git(root, 'rev-parse', 'HEAD')
  const modified = commit !== null && git(root, 'status', '--porcelain') !== ''
  const asked = env.SOURCE_DATE_EPOCH
  if (asked !== undefined && !/^\d{1,11}$/.test(asked)) throw new Error('SOURCE_DATE_EPOCH is no number')
  const epoch = Number(asked ?? git(root, 'log', '-1', '--format=%ct') ?? readChangelogTime(root))
  return { version, commit, modified, epoch }
}

/** @returns what git says of the directory itself, or null where it is not the top of a repository */
function git(root: string, ...args: string[]): string | null {
  const run = spawnSync('git', args, {
    cwd: root,
    encoding: 'utf8',
    // A repository further up is another project's; and looking must not write.
    env: { ...process.env, GIT_CEILING_DIRECTORIES: join(root, '..'), GIT_OPTIONAL_LOCKS: '0' },
  })
  return run.status === 0 ? run.stdout.trim() : null
}
