import { QusbError } from '../errors.ts'
import { type Alias, type AliasName, aliasesOf } from '../model/alias.ts'
import type { Device } from '../model/device.ts'
import type { Site } from '../site/site.ts'
import { readAliases } from '../store/aliases.ts'
import { nameDevices } from './name-devices.ts'

/** What people call devices. */
export interface Naming {
  /** All aliases there are. @throws QusbError STORE when their file cannot be used */
  aliases(): readonly Alias[]
  /** The name that a list shows. @param devices all that will be asked about: usb.ids is searched once for them */
  namesOf(devices: readonly Device[]): (device: Device) => string
}

/** Names as this site has them. The files are read when a name is first needed: most selectors need none. */
export function namingOf(site: Site): Naming {
  let aliases: readonly Alias[] | undefined
  return {
    aliases: () => {
      aliases ??= readAliases(site)
      return aliases
    },
    namesOf: (devices) => nameDevices(site, devices),
  }
}

/**
 * The aliases of a device where they can be told: what is only shown beside something else fails nothing.
 * @param tell told of a file that cannot be used
 */
export function aliasesIfAny(
  naming: Naming,
  device: Device,
  tell: (error: QusbError) => void = () => {},
): AliasName[] {
  try {
    return aliasesOf(device, naming.aliases())
  } catch (error) {
    if (!(error instanceof QusbError) || error.code !== 'STORE') throw error
    tell(error)
    return []
  }
}
