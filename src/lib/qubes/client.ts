import { statSync } from 'node:fs'
import { cleanStderr } from '../model/text.ts'
import type { Site } from '../site/site.ts'

/** How qrexec-client was found. */
export type ClientFinding =
  | { kind: 'answers' }
  /** It is there, and others than root and this user may write it. */
  | { kind: 'unsafe' }
  | { kind: 'absent'; why: string }
  /** Something else has its name; `said` is clean. */
  | { kind: 'other'; said: string }

/** It prints its usage at once, ms. */
const TIMEOUT_MS = 5000

/**
 * Asks qrexec-client for its usage, which every version prints and which calls nobody: a flag that it does not know
 * makes it do so as well (docs/facts.md#exit-codes).
 */
export async function inspectClient(site: Site): Promise<ClientFinding> {
  const stat = statSync(site.qrexecClient, { throwIfNoEntry: false })
  if (stat === undefined) return { kind: 'absent', why: 'there is no such file' }
  const { execa } = await import('execa')
  const result = await execa(site.qrexecClient, ['--help'], {
    stdin: 'ignore',
    all: true,
    reject: false,
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: 16 * 1024,
    extendEnv: false,
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C' },
  })
  if (result.exitCode === undefined && result.signal === undefined) {
    return { kind: 'absent', why: cleanStderr(result.shortMessage ?? '') ?? 'it cannot be run' }
  }
  if (!/usage/i.test(result.all) || !/-d\b/.test(result.all)) {
    return { kind: 'other', said: cleanStderr(result.all) ?? 'nothing' }
  }
  const isOurs = stat.uid === 0 || stat.uid === process.getuid?.()
  return isOurs && (stat.mode & 0o002) === 0 ? { kind: 'answers' } : { kind: 'unsafe' }
}
