import { errorToJson, QusbError } from '../errors.ts'
import type { QubeName } from '../model/names.ts'
import { findBackends } from '../passthrough/backends.ts'
import type { Context } from '../passthrough/context.ts'
import { type Look, lookAt } from '../passthrough/look.ts'
import { whyNotThere } from '../passthrough/qube-directory.ts'
import { findRunningQubes, type RunningQubes } from '../passthrough/running-qubes.ts'
import { isManagementQube } from '../site/standpoint.ts'
import { readState } from '../store/store.ts'
import { type Check, type Examination, type Finding, faultOf } from './check.ts'
import { CHECKS } from './checks.ts'
import type { CheckResult, DoctorResult, FindingResult } from './results.ts'

export interface DoctorRequest {
  /** Empty: all that run. */
  qubes: readonly QubeName[]
  /** Mend what is safe to mend. */
  fix: boolean
  program: Pick<Examination['program'], 'node' | 'bundle'>
  configFault: QusbError | undefined
}

/**
 * Looks at all that qusb needs in this dom0 and in its qubes. Without `fix` it changes nothing.
 * @returns the result, and the first error that is left
 */
export async function examine(
  context: Context,
  request: DoctorRequest,
): Promise<{ result: DoctorResult; failure: QusbError | undefined }> {
  const examination = await lookAtAll(context, request)
  const checks: CheckResult[] = []
  const place = examination.management ? 'management' : 'dom0'
  for (const check of CHECKS.filter(({ only = place }) => only === place)) {
    context.progress(`looking at ${check.title}`)
    const findings = await runCheck(check, examination)
    checks.push(await toResult(check, findings, request.fix))
    context.signal.throwIfAborted()
  }
  const failure = failureOf(checks)
  return {
    result: {
      schema: 1,
      state: worst(checks),
      checks,
      ...(failure === undefined ? {} : { error: errorToJson(failure) }),
    },
    failure,
  }
}

/** All qubes at once; what the checks share is looked at once. */
async function lookAtAll(context: Context, request: DoctorRequest): Promise<Examination> {
  context.progress('looking at the qubes')
  const management = isManagementQube(context.site)
  const sockets: RunningQubes = (await findRunningQubes(context)) ?? new Map()
  const backends = await orFault(() => allBackends(context), [])
  const known = await context.directory.qubes()
  const running = [...sockets.keys()].filter(
    (name) => known === undefined || known.get(name)?.state === 'running',
  )
  const all = management ? backends.value : [...backends.value, ...running]
  const qubes = [...new Set(request.qubes.length > 0 ? request.qubes : all)]
  const stored = await orFault(async () => readState(context.site).state.attachments, [])
  return {
    context,
    program: { ...request.program, now: new Date() },
    user: { name: context.user, uid: process.getuid?.() ?? 0, groups: process.getgroups?.() ?? [] },
    configFault: request.configFault,
    records: stored.value,
    storeFault: stored.fault,
    named: new Set(request.qubes),
    qubes: qubes.sort(),
    backends: backends.value,
    backendsFault: backends.fault,
    sockets,
    management,
    seen: management
      ? await lookFromAfar(context, backends.value, qubes)
      : await lookAt(context, [...backends.value, ...qubes], {
          frontends: qubes.filter((name) => !backends.value.includes(name)),
          asFrontends: true,
        }),
  }
}

/** From a management qube nothing is run in a frontend; that it is there is qubesd's word. */
async function lookFromAfar(
  context: Context,
  backends: readonly QubeName[],
  qubes: readonly QubeName[],
): Promise<Look> {
  const seen = await lookAt(context, backends)
  const known = await context.directory.qubes()
  for (const name of qubes) {
    const failure = backends.includes(name) ? undefined : whyNotThere(known, name, true)
    if (failure !== undefined) seen.failures.set(name, failure)
  }
  return seen
}

async function allBackends(context: Context): Promise<QubeName[]> {
  const { names, found } = await findBackends(context)
  return [...new Set([...names, ...(await found).running])]
}

async function orFault<T>(
  work: () => Promise<T>,
  otherwise: T,
): Promise<{ value: T; fault: QusbError | undefined }> {
  try {
    return { value: await work(), fault: undefined }
  } catch (error) {
    if (!(error instanceof QusbError)) throw error
    return { value: otherwise, fault: error }
  }
}

/** What one check cannot look at is its own finding, and holds up no other. */
async function runCheck(check: Check, examination: Examination): Promise<Finding[]> {
  try {
    return await check.run(examination)
  } catch (error) {
    if (!(error instanceof QusbError) || examination.context.signal.aborted) throw error
    return [faultOf(error)]
  }
}

async function toResult(check: Check, findings: readonly Finding[], fix: boolean): Promise<CheckResult> {
  const results: FindingResult[] = []
  for (const finding of findings) results.push(fix ? await mend(finding) : shown(finding))
  return { id: check.id, title: check.title, state: worst(results), findings: results }
}

function shown({ mend, ...finding }: Finding): FindingResult {
  return { ...finding, mendable: mend !== undefined, mended: null }
}

async function mend(finding: Finding): Promise<FindingResult> {
  if (finding.mend === undefined) return shown(finding)
  try {
    return { ...shown(finding), state: 'mended', code: null, mended: await finding.mend() }
  } catch (error) {
    if (!(error instanceof QusbError)) throw error
    return { ...shown(finding), message: `${finding.message}; it could not be mended: ${error.message}` }
  }
}

const STATES = ['ok', 'mended', 'warning', 'error'] as const

function worst(parts: readonly { state: FindingResult['state'] }[]): FindingResult['state'] {
  return STATES[Math.max(0, ...parts.map(({ state }) => STATES.indexOf(state)))] ?? 'ok'
}

/** The first error stands for all in the exit code; the words count them. */
function failureOf(checks: readonly CheckResult[]): QusbError | undefined {
  const errors = checks.flatMap(({ findings }) => findings).filter(({ state }) => state === 'error')
  const [first] = errors
  if (first === undefined) return undefined
  const code = first.code as QusbError['code']
  const others = errors.length === 1 ? '' : ` (and ${errors.length - 1} more)`
  const hint = errors.some(({ mendable }) => mendable)
    ? 'qusb doctor --fix mends what is safe to mend.'
    : first.fix
  return new QusbError(code, `${first.message}${others}`, hint === null ? {} : { hint })
}
