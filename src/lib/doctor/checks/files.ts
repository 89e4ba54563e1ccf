import { accessSync, constants, existsSync } from 'node:fs'
import { join } from 'node:path'
import { QusbError } from '../../errors.ts'
import { makeDirectoriesHint } from '../../site/standpoint.ts'
import { findDamaged } from '../../store/damaged.ts'
import { checkDirectory } from '../../store/directory.ts'
import { readHistory } from '../../store/history.ts'
import { readState, stateFileOf, updateState } from '../../store/store.ts'
import { type Check, type Finding, fault, faultOf, orWell, warn, well } from '../check.ts'

export const directoriesCheck: Check = {
  id: 'directories',
  title: 'directories',
  about: 'Whether they are there, can be written, and not by everybody.',
  run: ({ context: { site }, management }) => {
    const setUp = management ? makeDirectoriesHint(site) : 'sudo qusb setup dom0'
    const findings = [site.stateDir, site.configDir, site.runDir].flatMap((directory) =>
      inspect(directory, setUp),
    )
    return orWell(findings, `${site.stateDir}, ${site.configDir} and ${site.runDir}`)
  },
}

function inspect(directory: string, setUp: string): Finding[] {
  try {
    // One that is missing is made where its parent may be written, so it is worth a word only.
    if (checkDirectory(directory) === undefined) return [warn(`${directory} is missing`, { fix: setUp })]
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK)
    return []
  } catch (error) {
    if (error instanceof QusbError) return [faultOf(error)]
    return [fault('STORE', `${directory} cannot be read and written`, { fix: setUp })]
  }
}

export const configCheck: Check = {
  id: 'config',
  title: 'configuration',
  about: 'Whether it is valid.',
  run: ({ context: { site }, configFault }) => {
    if (configFault !== undefined) return [faultOf(configFault)]
    const file = join(site.configDir, 'config.json')
    return [well(existsSync(file) ? file : 'none: the defaults')]
  },
}

export const storeCheck: Check = {
  id: 'store',
  title: 'state file',
  about: 'Whether it can be read. A damaged one is set aside.',
  run: ({ context: { site }, storeFault }) => {
    if (storeFault !== undefined) return [faultOf(storeFault)]
    const { state, warnings, incomplete } = readState(site)
    const findings = warnings.map((warning) =>
      incomplete
        ? fault('STORE', warning, {
            fix: 'qusb doctor --fix sets it aside; what is attached is still told by the USB qubes.',
            mend: async () => await setAside(site),
          })
        : warn(warning),
    )
    const copies = countDamaged(site.stateDir)
    if (findings.length === 0 && copies > 0) {
      findings.push(
        warn(`${copies} damaged ${copies === 1 ? 'copy' : 'copies'} of it in ${site.stateDir}`, {
          fix: 'Look at what is in them, then remove them: the latest is the last one that broke.',
        }),
      )
    }
    const count = state.attachments.length
    return orWell(findings, `${stateFileOf(site)}: ${count} ${count === 1 ? 'attachment' : 'attachments'}`)
  },
}

function countDamaged(directory: string): number {
  return existsSync(directory) ? findDamaged(directory).length : 0
}

/** Writing the store sets a damaged file aside and keeps what could be read of it. */
async function setAside(site: Parameters<typeof updateState>[0]): Promise<string> {
  const { warnings } = await updateState(site, (records) => records)
  return warnings.join(' ')
}

/** Enough to see damage that is recent. */
const EVENTS = 1000

export const historyCheck: Check = {
  id: 'history',
  title: 'history',
  about: 'Whether all of its lines can be read.',
  run: ({ context: { site, config } }) => {
    if (!config.history.enabled) return [well('switched off')]
    const { events, skipped } = readHistory(site, { limit: EVENTS })
    if (skipped === 0) return [well(events.length === 0 ? 'empty' : 'it can be read')]
    return [
      warn(`${skipped} of its last ${events.length + skipped} lines cannot be read and are not shown`, {
        fix: `They are left where they are: ${join(site.stateDir, 'history.jsonl')}`,
      }),
    ]
  },
}
