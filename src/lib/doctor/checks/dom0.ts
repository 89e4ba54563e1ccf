import { existsSync, statSync } from 'node:fs'
import type { Context } from '../../passthrough/context.ts'
import { inspectClient } from '../../qubes/client.ts'
import { readHistory } from '../../store/history.ts'
import { type Check, type Finding, fault, faultOf, orWell, warn, well } from '../check.ts'

export const clientCheck: Check = {
  id: 'qrexec-client',
  only: 'dom0',
  title: 'qrexec-client',
  about: 'Whether it is there, is what its name says, and could not have been exchanged by others.',
  run: async ({ context: { site } }) => {
    const file = site.qrexecClient
    const found = await inspectClient(site)
    switch (found.kind) {
      case 'answers':
        return [well(`${file} answers`)]
      case 'unsafe':
        return [
          fault('REFUSED', `${file} could have been exchanged: it can be written by others than root`, {
            fix: `See whose it is: ls -l ${file}. Install the package qubes-core-dom0-linux again.`,
          }),
        ]
      case 'absent':
        return [
          fault('NOT_FOUND', `${file}: ${found.why}`, {
            fix: 'qusb runs in dom0 of Qubes OS. Elsewhere, `qusb lab up` makes a lab to try it.',
          }),
        ]
      case 'other':
        return [
          fault('NOT_FOUND', `${file} is not qrexec-client: asked for its usage it says "${found.said}"`, {
            fix: 'Install the package qubes-core-dom0-linux again.',
          }),
        ]
    }
  },
}

export const clientVmCheck: Check = {
  id: 'qrexec-client-vm',
  only: 'management',
  title: 'qrexec-client-vm',
  about: 'Whether what calls from a management qube could have been exchanged by others than root.',
  run: ({ context: { site } }) => {
    const file = site.qrexecClientVm
    const stat = statSync(file)
    const isOurs = stat.uid === 0 || stat.uid === process.getuid?.()
    if (isOurs && (stat.mode & 0o022) === 0) {
      return [well(`this is a management qube: calls go by ${file}, and dom0's policy decides on each`)]
    }
    return [
      fault('REFUSED', `${file} could have been exchanged: it can be written by others than root`, {
        fix: 'Install the package qubes-core-qrexec again.',
      }),
    ]
  },
}

export const groupCheck: Check = {
  id: 'group',
  only: 'dom0',
  title: 'group qubes',
  about: 'Whether this user may call qubes.',
  run: ({ context: { site }, user }) => {
    const stat = statSync(site.qubesRunDir, { throwIfNoEntry: false })
    if (stat === undefined) {
      return [
        fault('NOT_FOUND', `there is no ${site.qubesRunDir}: qrexec does not run here`, {
          fix: 'qusb runs in dom0 of Qubes OS. Elsewhere, `qusb lab up` makes a lab to try it.',
        }),
      ]
    }
    if (user.uid === 0) return [well('root may call')]
    const isMember = user.groups.includes(stat.gid) && (stat.mode & 0o070) === 0o070
    if (isMember || user.uid === stat.uid) return [well(`${user.name} may call`)]
    return [
      fault('REFUSED', `${user.name} may not use ${site.qubesRunDir}, so cannot call any qube`, {
        fix: `sudo usermod -aG qubes ${user.name}, then log in again.`,
      }),
    ]
  },
}

export const qubesdCheck: Check = {
  id: 'qubesd',
  title: 'qubesd',
  about: 'Whether it tells which qubes there are.',
  run: async ({ context: { site, directory }, management }) => {
    if (management) return await askFromAfar(directory)
    if (!existsSync(site.qubesdSocket)) {
      return [warn(`there is no ${site.qubesdSocket}: which qubes there are is known from qrexec alone`)]
    }
    const qubes = await directory.qubes()
    const [trouble] = directory.warnings()
    if (qubes !== undefined && trouble === undefined) return [well(`it knows ${qubes.size} qubes`)]
    return [
      warn(trouble?.message ?? `${site.qubesdSocket} is there, and nobody answers`, {
        fix: 'Look at it: systemctl status qubesd',
      }),
    ]
  },
}

/** In a management qube everything goes by qubesd. */
async function askFromAfar(directory: Context['directory']): Promise<Finding[]> {
  const qubes = await directory.qubes()
  if (qubes === undefined) return [faultOf(directory.whyUnknown())]
  const lacking = directory.warnings().map(({ message, hint }) => warn(message, { fix: hint }))
  return orWell(lacking, `it tells of ${qubes.size} qubes: those that policy lets this one list`)
}

/** A clock that was set forward, and back, may be off by this much without a word, ms. */
const SLACK_MS = 5 * 60 * 1000

/** What qusb wrote must be past: nothing is decided by the clock, but the history would tell lies. */
export const clockCheck: Check = {
  id: 'clock',
  title: 'clock',
  about: 'Whether it is behind what qusb has written down.',
  run: ({ context: { site }, program, records, management }) => {
    const written = [
      ...records.map(({ since }) => since),
      ...readHistory(site, { limit: 20 }).events.map(({ at }) => at),
    ]
    const latest = written.sort().at(-1)
    if (latest === undefined || Date.parse(latest) <= program.now.getTime() + SLACK_MS) {
      return [well(program.now.toISOString())]
    }
    return [
      warn(`it says ${program.now.toISOString()}, and qusb has noted something at ${latest}`, {
        fix: management ? 'Set it.' : 'Set it: sudo qvm-sync-clock',
      }),
    ]
  },
}
