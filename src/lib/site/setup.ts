import { lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { QusbError } from '../errors.ts'
import { inspectDirectory, makeDirectory } from './owned-path.ts'
import { planFile, planPieces } from './setup-pieces.ts'
import type { Site } from './site.ts'
import { requireDom0 } from './standpoint.ts'

/** Who the directories are to belong to. */
export interface Owner {
  uid: number
  gid: number
  /** Their names, for words and for tmpfiles.d. */
  user: string
  group: string
}

export type SetupAction = 'made' | 'changed' | 'unchanged'

/** One thing that is to be there, and what that takes. */
export interface SetupStep {
  path: string
  action: SetupAction
  /** Mode and owner, `2770 root:qubes`. */
  what: string
  do(): void
}

const TMPFILE = 'qusb.conf'

/**
 * The group that may use qusb.
 * @param groupFile in the format of group(5)
 * @throws QusbError USAGE for what cannot be a group's name, NOT_FOUND when there is no such group
 */
export function findGroup(name: string, groupFile: string): number {
  if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(name)) {
    throw new QusbError('USAGE', `"${name}" cannot be the name of a group`, {
      hint: 'Leave --group out for the group qubes.',
    })
  }
  const line = readFileSync(groupFile, 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([group]) => group === name)
  const gid = Number(line?.[2] || Number.NaN)
  if (!Number.isSafeInteger(gid) || gid < 0) {
    throw new QusbError('NOT_FOUND', `there is no group ${name} on this machine`, {
      hint: 'A dom0 of Qubes OS has the group qubes. Name another one with --group.',
    })
  }
  return gid
}

/** What tmpfiles.d(5) needs to make the runtime directory at every boot. */
export function tmpfilesContent(runDir: string, owner: Owner): string {
  return `# Made by "qusb setup dom0": locks and sockets of qusb, gone after a reboot.\nd ${runDir} 2770 ${owner.user} ${owner.group} -\n`
}

/**
 * Looks at what is there and says what is to be done; does nothing. The set-group-id bit hands the group on to what is
 * made inside. The configuration is readable by all and writable by those who may call qrexec-client; the rest is
 * theirs alone.
 * @throws QusbError REFUSED where something else is in the way: a link, a file, a directory that others may replace
 */
export function planSetup(site: Site, owner: Owner): SetupStep[] {
  const wanted: [path: string, mode: number][] = [
    [site.stateDir, 0o2770],
    [site.configDir, 0o2775],
    [join(site.configDir, 'rules.d'), 0o2775],
    [site.runDir, 0o2770],
  ]
  const directories = wanted.map(
    ([path, mode]): SetupStep => ({
      path,
      action: inspectDirectory(path, mode, owner),
      what: `${mode.toString(8)} ${owner.user}:${owner.group}`,
      do: () => makeDirectory(path, mode, owner),
    }),
  )
  return [
    ...directories,
    planFile(
      join(site.tmpfilesDir, TMPFILE),
      tmpfilesContent(site.runDir, owner),
      `makes ${site.runDir} at every boot`,
      owner,
    ),
    ...planPieces(site, owner),
  ]
}

/**
 * Does what the plan says; what is in place is left alone, so that twice is once.
 * @throws QusbError REFUSED as planning does: between the two something may have changed
 */
export function carryOut(plan: readonly SetupStep[]): void {
  for (const step of plan) if (step.action !== 'unchanged') step.do()
}

/**
 * Who owns what is set up: root, with the group that may use qusb; where somebody else has a dom0 of his own, he.
 * @throws QusbError USAGE, NOT_FOUND for the group; REFUSED in a management qube, where nothing is set up
 */
export function findOwner(
  site: Site,
  { group, groupFile, uid }: { group: string; groupFile: string; uid: number | undefined },
): Owner {
  requireDom0(site)
  const state = lstatSync(site.stateDir, { throwIfNoEntry: false })
  if (uid !== undefined && uid !== 0 && state?.uid === uid) {
    return { uid, gid: state.gid, user: String(uid), group: String(state.gid) }
  }
  return { uid: 0, gid: findGroup(group, groupFile), user: 'root', group }
}

/** @throws QusbError REFUSED */
export function requireOwner(owner: Owner, uid: number | undefined, hint: string): void {
  if (uid === owner.uid) return
  throw new QusbError('REFUSED', 'only root can set up dom0', { hint })
}

/** What a setup did, as `--json` prints it. */
export interface SetupOutcome {
  schema: 1
  changed: boolean
  done: { path: string; action: SetupAction; what: string }[]
  plan?: { step: string; what: string }[]
}

/**
 * Sets up this dom0, or plans it.
 * @param options.groupFile in the format of group(5)
 * @param options.uid who runs this; only root may do more than plan
 * @throws QusbError USAGE or NOT_FOUND for the group, REFUSED for what is in the way or for who is not root
 */
export function setUpDom0(
  site: Site,
  options: { group: string; groupFile: string; dryRun: boolean; uid: number | undefined },
): SetupOutcome {
  const owner = findOwner(site, options)
  if (!options.dryRun) requireOwner(owner, options.uid, 'sudo qusb setup dom0')
  const steps = planSetup(site, owner)
  const open = steps.filter((step) => step.action !== 'unchanged')
  if (options.dryRun) {
    const plan = open.map(({ path, action, what }) => ({
      step: action === 'made' ? 'make' : 'change',
      what: `${path}  ${what}`,
    }))
    return { schema: 1, changed: false, done: [], plan }
  }
  carryOut(steps)
  const done = steps.map(({ path, action, what }) => ({ path, action, what }))
  return { schema: 1, changed: open.length > 0, done }
}
