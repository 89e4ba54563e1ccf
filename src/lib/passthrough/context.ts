import type { Config } from '../site/config.ts'
import type { Site } from '../site/site.ts'
import type { QubeDirectory } from './qube-directory.ts'

/** What every operation needs from the one who starts it. */
export interface Context {
  site: Site
  config: Config
  /** Which qubes there are, where qubesd tells. */
  directory: QubeDirectory
  /** Who asks: the login name, for the store and the history. */
  user: string
  /** By which rule, where it is not a person who asks: `50-qusb.rules:3`. */
  rule?: string
  /** Aborted by the first Ctrl-C or SIGTERM; its reason is a QusbError INTERRUPTED or TERMINATED. */
  signal: AbortSignal
  /** Told what is being done, for a line of progress. */
  progress(what: string): void
}
