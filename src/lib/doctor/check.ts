import type { ErrorCode, QusbError } from '../errors.ts'
import type { AttachmentRecord } from '../model/attachment.ts'
import type { QubeName } from '../model/names.ts'
import type { Context } from '../passthrough/context.ts'
import type { Look } from '../passthrough/look.ts'
import type { RunningQubes } from '../passthrough/running-qubes.ts'

/** One thing that a check saw. */
export interface Finding {
  /** warning: worth knowing, qusb works. error: something will fail for it. */
  state: 'ok' | 'warning' | 'error'
  /** What, on which object. */
  message: string
  /** The qube it is about; null where it is about this machine. */
  qube: QubeName | null
  /** What a command would fail with for it; null unless it is an error. */
  code: ErrorCode | null
  /** What to do, a sentence or a command to paste. */
  fix: string | null
  /**
   * Mends it, where that is safe.
   * @returns what was done
   * @throws QusbError why it could not be
   */
  mend?: () => Promise<string>
}

/** One thing to look at. */
export interface Check {
  /** For scripts; never changes. */
  id: string
  /** For people. */
  title: string
  /** What it looks at, a sentence for the manual. */
  about: string
  /** Where it means something; by default everywhere. */
  only?: 'dom0' | 'management'
  /** @throws QusbError which becomes a finding */
  run(examination: Examination): Finding[] | Promise<Finding[]>
}

/** What the checks look at: this machine, and one look at its qubes. */
export interface Examination {
  context: Context
  program: {
    /** `v22.21.1` */
    node: string
    /** The file that runs. */
    bundle: string
    now: Date
  }
  user: { name: string; uid: number; groups: readonly number[] }
  /** Why the configuration cannot be used; then its defaults are. */
  configFault: QusbError | undefined
  /** What the store has, and why that cannot be read. */
  records: readonly AttachmentRecord[]
  storeFault: QusbError | undefined
  /** Named by the user: what is wrong with one of them is an error. Empty: all that run are looked at. */
  named: ReadonlySet<QubeName>
  /** The qubes to tell of. */
  qubes: readonly QubeName[]
  backends: readonly QubeName[]
  /** Why no backend is known. */
  backendsFault: QusbError | undefined
  /** Those that run; of a management qube, that it may list. */
  sockets: RunningQubes
  /** This is a management qube: policy decides on what it asks, and nothing is run in a frontend. */
  management: boolean
  seen: Look
}

type More = Partial<Pick<Finding, 'qube' | 'fix' | 'mend'>>

export function well(message: string, more: More = {}): Finding {
  return { state: 'ok', message, qube: null, code: null, fix: null, ...more }
}

export function warn(message: string, more: More = {}): Finding {
  return { state: 'warning', message, qube: null, code: null, fix: null, ...more }
}

export function fault(code: ErrorCode, message: string, more: More = {}): Finding {
  return { state: 'error', message, qube: null, code, fix: null, ...more }
}

/** The findings, or where there is none the word that all is well. */
export function orWell(findings: readonly Finding[], message: string): Finding[] {
  return findings.length > 0 ? [...findings] : [well(message)]
}

/** An error that was thrown, as a finding. */
export function faultOf(error: QusbError): Finding {
  return fault(error.code, error.message, { fix: error.hint ?? null })
}

/**
 * The backends of which qubesd tells the devices, and nobody what else is in them.
 * @param what is not known of each: `has the USB proxy`
 */
export function unseen({ seen }: Pick<Examination, 'seen'>, what: string): Finding[] {
  return [...seen.surveys.values()]
    .filter(({ byQubesd }) => byQubesd !== undefined)
    .map(({ qube }) => warn(`whether ${qube} ${what} is not known: it cannot be looked into`, { qube }))
}

/** What is wrong with one qube: an error where the user named it, else worth knowing. */
export function faultIn(
  { named }: Pick<Examination, 'named'>,
  qube: QubeName,
  code: ErrorCode,
  message: string,
  more: More = {},
): Finding {
  return named.has(qube) ? fault(code, message, { qube, ...more }) : warn(message, { qube, ...more })
}
