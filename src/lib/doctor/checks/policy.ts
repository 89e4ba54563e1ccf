import { accessSync, constants, existsSync } from 'node:fs'
import type { QubeName } from '../../model/names.ts'
import { findDenyRules, type GuardedCall } from '../../qubes/policy.ts'
import { findPolicyFaults } from '../../qubes/policy-faults.ts'
import { type Check, type Examination, fault, orWell, warn, well } from '../check.ts'

export const policyDirectoryCheck: Check = {
  id: 'policy-directory',
  only: 'dom0',
  title: 'policy directory',
  about: 'Whether a grant can be written, and counts.',
  run: ({ context: { site } }) => {
    const { policyDir, policyReadDirs } = site
    if (!policyReadDirs.includes(policyDir)) {
      return [
        fault(
          'REFUSED',
          `what is written into ${policyDir} does not count: policy is read from ${policyReadDirs.join(', ')}`,
          {
            fix: 'Let policyDir in the site file be one of policyReadDirs.',
          },
        ),
      ]
    }
    if (!existsSync(policyDir)) {
      return [
        fault('REFUSED', `there is no ${policyDir}`, {
          fix: 'Qubes 4.3 makes it at every boot; on Qubes 4.2 let a site file name /etc/qubes/policy.d.',
        }),
      ]
    }
    try {
      accessSync(policyDir, constants.R_OK | constants.W_OK | constants.X_OK)
      return [well(`${policyDir} can be written`)]
    } catch {
      return [
        fault('REFUSED', `${policyDir} cannot be written, so nothing can be granted`, {
          fix: 'qusb must be run by root or a member of group qubes.',
        }),
      ]
    }
  },
}

export const policyFilesCheck: Check = {
  id: 'policy-files',
  only: 'dom0',
  title: 'policy files',
  about: 'A file with a capital letter in its name, or one error in a line, denies every call of the system.',
  run: ({ context: { site } }) => {
    const faults = findPolicyFaults(site)
    const findings = faults.map(({ file, line, what }) => {
      const place = line === 0 ? file : `${file}:${line}`
      return fault('REFUSED', `${place}: ${what}; one such fault denies every call of the system`, {
        fix: `Mend or move away ${file}.`,
      })
    })
    return orWell(findings, 'no fault is seen in them')
  },
}

/** More pairs of a device and a frontend than a person can mean. */
const MOST_CALLS = 5000

export const denyRulesCheck: Check = {
  id: 'deny-rules',
  only: 'dom0',
  title: 'deny rules',
  about: 'Rules of yours that deny a qube a device, which qusb heeds.',
  run: async (examination) => {
    const calls = possibleCalls(examination)
    const rules = await findDenyRules(examination.context.site, calls)
    const findings = rules.map(({ file, line, calls }) => {
      const callers = [...new Set(calls.map(({ caller }) => caller))]
      const devices = [...new Set(calls.map(({ backend, port }) => `${backend}:${port}`))]
      return warn(`${file}:${line} denies ${few(callers)} the device ${few(devices)}`, {
        fix: 'If that is meant, all is well: qusb heeds it. Else remove the line.',
      })
    })
    return orWell(findings, 'none is about the devices and qubes of now')
  },
}

/** Every attach that could be asked for now: of those that the user named, where any of that side is named. */
function possibleCalls({ seen, backends, named, sockets }: Examination): GuardedCall[] {
  const meant = (names: readonly QubeName[]): readonly QubeName[] => {
    const chosen = names.filter((name) => named.has(name))
    return chosen.length > 0 ? chosen : names
  }
  const frontends = meant([...sockets.keys()].filter((name) => !backends.includes(name)))
  return meant(backends)
    .flatMap((name) => seen.surveys.get(name)?.devices ?? [])
    .filter(({ hub, hidden }) => !hub && !hidden)
    .flatMap(({ backend, port }) =>
      frontends.map((name) => ({
        caller: sockets.get(name)?.stubdom === true ? (`${name}-dm` as const) : name,
        backend,
        port,
      })),
    )
    .slice(0, MOST_CALLS)
}

/** `vault`, `vault and work`, `vault, work and 3 more` */
function few(names: readonly string[]): string {
  const [first = '', second, ...others] = names
  if (second === undefined) return first
  return others.length === 0 ? `${first} and ${second}` : `${first}, ${second} and ${others.length} more`
}
