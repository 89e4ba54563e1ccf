import { setMaxListeners } from 'node:events'
import { askLive } from '../lib/completion/live.ts'
import type { Candidate, LiveQuestion } from '../lib/completion/wanted.ts'
import { QubeDirectory } from '../lib/passthrough/qube-directory.ts'
import { loadConfig } from '../lib/site/config.ts'
import { loadSite } from '../lib/site/site.ts'
import { readAliases } from '../lib/store/aliases.ts'

/** The users' own names for devices, where they can be read. */
export function aliasNames(): ReadonlySet<string> {
  try {
    return new Set(readAliases(loadSite(process.env.QUSB_SITE)).map(({ name }) => name))
  } catch {
    return new Set()
  }
}

/**
 * Asks this site what may stand at the cursor.
 * @param current the word at the cursor, up to it
 * @throws QusbError for a site or a configuration that is not valid, and where there is no backend
 */
export async function askSite(
  question: LiveQuestion,
  current: string,
  signal: AbortSignal,
  offer: (candidates: readonly Candidate[]) => void,
): Promise<void> {
  setMaxListeners(0, signal)
  const site = loadSite(process.env.QUSB_SITE)
  const directory = new QubeDirectory(site)
  await directory.askEarly()
  const context = { site, config: loadConfig(site), directory, user: '', signal, progress: () => {} }
  await askLive(context, question, current, offer)
}
