import { QusbError } from '../errors.ts'
import type { QubeName } from '../model/names.ts'
import { parseSelector, selects } from '../model/selector.ts'
import { findAssignments } from '../passthrough/assignments.ts'
import type { Context } from '../passthrough/context.ts'
import type { Warning } from '../passthrough/results.ts'
import type { Assignment } from '../qubes/admin/device-lines.ts'
import { identityText } from './add.ts'
import { type Draft, readDraft } from './draft.ts'
import { type ImportedDevices, readShareList } from './import-qvd.ts'
import { readUsbGuard } from './import-usbguard.ts'
import { DEFAULT_OPTIONS } from './options.ts'
import { findPresent } from './present.ts'
import type { LeftOut, RuleAdded } from './results.ts'
import { type Action, ANY, type RuleTerms } from './rule.ts'
import { writeRules } from './write-rules.ts'

/** The programs whose lists of devices are read from a file. */
export const FILE_READERS = { qvd: readShareList, usbguard: readUsbGuard } as const

/** What the rules made of a file's devices say beside the device. */
export interface ImportTarget {
  frontend: QubeName
  backend: string | undefined
  action: Action
}

/**
 * Makes rules of the devices that another program's file names, and adds them.
 * @throws QusbError USAGE where the rules that are there are broken; STORE
 */
export async function importDevices(
  context: Context,
  { devices, leftOut }: ImportedDevices,
  target: ImportTarget,
  options: { dryRun: boolean },
): Promise<RuleAdded> {
  const drafts = devices.map(({ deviceText, from }) => ({
    from,
    draft: { deviceText, ...target, backend: target.backend ?? ANY, options: DEFAULT_OPTIONS },
  }))
  const { terms, refused } = readDrafts(drafts)
  const { candidates, warnings } = await findPresent(context)
  const counted = devices.flatMap(({ deviceText, from }): Warning[] => {
    const parsed = parseSelector(deviceText)
    if ('problem' in parsed) return []
    const found = candidates.filter(({ device, aliases }) => selects(parsed.selector, device, aliases)).length
    return found === 1 || parsed.selector.kind === 'class' ? [] : [warnOfCount(from, found)]
  })
  return await writeRules(context, terms, {
    ...options,
    first: false,
    leftOut: [...leftOut, ...refused],
    warnings: [...warnings, ...counted],
  })
}

function warnOfCount(entry: string, found: number): Warning {
  return {
    qube: null,
    code: found === 0 ? 'MATCHES_NONE' : 'MATCHES_SEVERAL',
    message: `"${entry}" is ${found === 0 ? 'no device that is plugged in' : `${found} of the devices that are plugged in`} now`,
    hint: found === 0 ? null : 'Add the serial, so that it is one.',
  }
}

/**
 * Makes rules of the assignments of qubesd, and adds them.
 * @throws QusbError NOT_RUNNING without qubesd; USAGE where the rules that are there are broken; STORE
 */
export async function importAssignments(context: Context, options: { dryRun: boolean }): Promise<RuleAdded> {
  if (!(await context.directory.answers())) {
    throw new QusbError('NOT_RUNNING', 'qubesd does not answer, and only it knows its assignments', {
      hint: 'Look at it: systemctl status qubesd',
    })
  }
  const assignments = await findAssignments(context)
  const { terms, refused } = readDrafts(
    assignments.map((assignment) => ({ from: describe(assignment), draft: draftOf(assignment) })),
  )
  const warnings = [...context.directory.warnings()]
  if (terms.length > 0) {
    warnings.push({
      qube: null,
      code: 'ASSIGNED',
      message: 'qubesd goes on attaching what it has assigned: rules for it are one too many',
      hint: 'Take the assignments away (qvm-usb unassign) when the rules do what you want.',
    })
  }
  return await writeRules(context, terms, { ...options, first: false, leftOut: refused, warnings })
}

/** Pure. */
export function draftOf({ frontend, backend, port, identity, mode }: Assignment): Draft {
  return {
    deviceText: textOf({ backend, port, identity }),
    backend,
    frontend,
    action: mode === 'ask-to-attach' ? 'ask' : 'allow',
    options: DEFAULT_OPTIONS,
  }
}

function textOf({ backend, port, identity }: Pick<Assignment, 'backend' | 'port' | 'identity'>): string {
  if (identity === null) return port ?? ANY
  if (port === null || identity.interfaces.length === 0) return identityText(identity)
  const interfaces = identity.interfaces.map((code) => `u${code}`).join('')
  return `${backend}:${port}:${identity.vendorId}:${identity.productId}:${identity.serial ?? ''}:${interfaces}`
}

function describe(assignment: Assignment): string {
  return `${textOf(assignment)} of ${assignment.backend} to ${assignment.frontend} (${assignment.mode})`
}

/** What a file can hold, and what it cannot, with the reason. */
function readDrafts(drafts: readonly { from: string; draft: Draft }[]): {
  terms: RuleTerms[]
  refused: LeftOut[]
} {
  const terms: RuleTerms[] = []
  const refused: LeftOut[] = []
  for (const { from, draft } of drafts) {
    try {
      terms.push(readDraft(draft))
    } catch (error) {
      if (!(error instanceof QusbError)) throw error
      refused.push({ what: from, why: error.message })
    }
  }
  return { terms, refused }
}
