import { QusbError } from '../errors.ts'
import type { QubeName } from '../model/names.ts'
import { listQrexecSockets } from '../qubes/qrexec.ts'
import type { Context } from './context.ts'

/** The names that USB qubes have by default: `sys-usb`, further ones, and `sys-net`, where one qube has all devices. */
const DEFAULT_NAMES = /^(sys-usb(-.+)?|sys-net)$/

export interface Backends {
  names: QubeName[]
  /** Not named by the user or the configuration: one of them that has no device is not worth a word. */
  guessed: boolean
}

/**
 * The backends to ask when the user names none: the configured ones, else the running ones that are usually so.
 * @throws QusbError NOT_FOUND when there is none
 */
export function findBackends(context: Context): Backends {
  const { config, site } = context
  if (config.backends !== undefined && config.backends.length > 0) {
    return { names: [...new Set(config.backends)], guessed: false }
  }
  const names = [...listQrexecSockets(site).keys()].filter((name) => DEFAULT_NAMES.test(name)).sort()
  if (names.length === 0) {
    throw new QusbError('NOT_FOUND', 'no USB qube is running: none of sys-usb, sys-usb-… or sys-net', {
      hint: `Start it (qvm-start sys-usb), or name your USB qubes in ${site.configDir}/config.json: {"backends": ["my-usb"]}.`,
    })
  }
  return { names, guessed: true }
}
