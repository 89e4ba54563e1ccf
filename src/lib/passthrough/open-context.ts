import { type Config, loadConfig } from '../site/config.ts'
import { loginName } from '../site/login-name.ts'
import { loadSite, type Site } from '../site/site.ts'
import type { Context } from './context.ts'
import { QubeDirectory } from './qube-directory.ts'

/**
 * Opens this dom0 for one run: its site, the user's configuration, and who asks.
 * @param siteFile the site file; undefined or empty: the usual places of dom0
 * @param readConfig how the configuration is read, where a fault in it is no end
 * @throws QusbError USAGE when one of the files is not valid, or could have been written by others
 */
export function openContext(
  siteFile: string | undefined,
  run: Pick<Context, 'signal' | 'progress'>,
  readConfig: (site: Site) => Config = loadConfig,
): Context {
  const site = loadSite(siteFile)
  return {
    site,
    config: readConfig(site),
    directory: new QubeDirectory(site),
    // Asked for where something is changed: to ask takes longer than to read the configuration.
    get user() {
      return loginName()
    },
    ...run,
  }
}
