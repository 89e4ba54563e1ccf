import { errorToJson, type QusbError } from '../errors.ts'
import { nextTurn } from '../host/turn.ts'
import type { AttachmentRecord } from '../model/attachment.ts'
import type { Device } from '../model/device.ts'
import { deviceClass } from '../model/device-class.ts'
import type { QubeName } from '../model/names.ts'
import type { Assignment } from '../qubes/admin/device-lines.ts'
import { assignmentOf, findAssignments } from './assignments.ts'
import { type Backends, findBackends, haltedWarnings, onlyBackends } from './backends.ts'
import type { Context } from './context.ts'
import { errorToWarning, failureToError, failureToWarning, type Look, lookAt, warningsOf } from './look.ts'
import type { ListedDevice, ListResult, Warning } from './results.ts'

export interface ListRequest {
  /** Empty: the configured or usual ones. One that is named and fails is an error beside the others' devices. */
  backends: readonly QubeName[]
  /** Hubs and devices hidden on purpose too. */
  all: boolean
  /** Only what is attached. */
  attached: boolean
  /** Whether to ask what qubesd will attach by itself, a call for each qube; else nothing has an assignment. Default true. */
  assignments?: boolean
}

/**
 * Every device that the backends publish, and who has it: the backends' word, with what the store adds to it.
 * @returns the result, and the failure of a backend that was named
 * @throws QusbError NOT_FOUND when there is no backend at all
 */
export async function list(
  context: Context,
  request: ListRequest,
): Promise<{ result: ListResult; failure: QusbError | undefined }> {
  const named = request.backends.length > 0
  const backends = named ? onlyBackends(request.backends) : await findBackends(context)
  context.progress(`looking at ${backends.names.join(', ')}`)
  const assigning = request.assignments === false ? [] : findAssignments(context)
  const looking = lookWithStore(context, backends)
  // Loaded while the backends answer, as all that is not needed to ask them.
  const loading = nextTurn().then(() => import('./naming.ts'))
  const [looked, { aliasesIfAny, namingOf }] = await Promise.all([looking, loading])
  const { seen, records } = looked
  const warnings = [...looked.warnings]
  let failure: QusbError | undefined
  for (const problem of seen.failures.values()) {
    if (named) failure ??= failureToError(problem)
    warnings.push(failureToWarning(problem))
  }
  const [found, assignments] = await Promise.all([backends.found, assigning])
  // All that was asked of it is answered, or was asked in vain.
  warnings.push(...haltedWarnings(found), ...context.directory.warnings())
  const surveys = [...seen.surveys.values()]
  warnings.push(...surveys.flatMap(warningsOf))
  const all = surveys.flatMap((survey) => survey.devices)
  const naming = namingOf(context.site)
  const nameOf = naming.namesOf(all)
  const tellOnce = (error: QusbError): void => {
    if (!warnings.some((warning) => warning.message === error.message)) warnings.push(errorToWarning(error))
  }
  const devices = all
    .map((device) =>
      listed(device, records, assignments, {
        description: nameOf(device),
        aliases: aliasesIfAny(naming, device, tellOnce),
      }),
    )
    .filter((device) => request.all || (!device.hub && !device.hidden) || device.state !== 'free')
    .filter((device) => !request.attached || device.attachedTo !== null || device.state === 'unknown')
  return {
    result: {
      schema: 1,
      devices,
      warnings,
      ...(failure === undefined ? {} : { error: errorToJson(failure) }),
    },
    failure,
  }
}

/**
 * Surveys, and what the store says of them, settled and reconciled. A store that cannot be used is a warning here:
 * who has what is still told.
 */
export async function lookWithStore(
  context: Context,
  backends: Pick<Backends, 'names' | 'found'>,
): Promise<{ seen: Look; records: readonly AttachmentRecord[]; warnings: Warning[] }> {
  const look = async (): Promise<Look> => await lookAt(context, backends.names, backends)
  // The store is read, and its code loaded, while the backends answer.
  const looking = look()
  // Why there is none is told where it is waited for.
  looking.catch(() => {})
  await nextTurn()
  const { settleAndReconcile } = await import('./store-and-truth.ts')
  return await settleAndReconcile(context, looking, look)
}

/** A device with what the store and qubesd know of it, and people call it. Pure. */
export function listed(
  device: Device,
  records: readonly AttachmentRecord[],
  assignments: readonly Assignment[],
  names: Pick<ListedDevice, 'description' | 'aliases'>,
): ListedDevice {
  const here = records.filter((record) => record.backend === device.backend && record.port === device.port)
  const open = here.find((record) => record.phase === 'unresolved')
  const ours = here.find((record) => record.phase === 'attached' && record.frontend === device.attachedTo)
  const elsewhere = here.some(
    (record) => record.phase === 'attached' && record.frontend !== device.attachedTo,
  )
  const busy = here.some((record) => record.phase === 'attaching' || record.phase === 'detaching')
  return {
    ...device,
    state: open === undefined ? device.state : 'unknown',
    class: deviceClass(device),
    ...names,
    since: ours?.since ?? null,
    by: ours === undefined ? null : { user: ours.by.user, rule: ours.by.rule },
    drift: driftOf(device, { open: open !== undefined, ours: ours !== undefined, elsewhere, busy }),
    intendedFor: open?.frontend ?? null,
    assignment: assignmentOf(device, assignments),
  }
}

function driftOf(
  device: Device,
  store: { open: boolean; ours: boolean; elsewhere: boolean; busy: boolean },
): ListedDevice['drift'] {
  if (store.open) return 'unresolved'
  if (device.attachedTo === null || store.ours || store.busy) return null
  return store.elsewhere ? 'attached-elsewhere' : 'other-tool'
}
