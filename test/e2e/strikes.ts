import type { FaultName } from '../../src/lab/faults.ts'
import type { EXIT_CODES } from '../../src/lib/errors.ts'

export type Code = 'done' | keyof typeof EXIT_CODES

/** A fault of the lab, or every device pulled out (and, replug, put in again at once: with another number). */
export interface Blow {
  name: FaultName | 'unplug' | 'replug'
  /** The backends, every frontend, or dom0. */
  at: 'backends' | 'frontends' | 'dom0'
  value?: string
}

/** What befalls all that are struck, and what each may end in. Several that change no code are tried together. */
export interface Strike {
  blows: readonly [Blow, ...Blow[]]
  /** What brings the qubes back; else each fault is taken back. */
  heal?: FaultName
  /**
   * Struck until it looks again with the lock held, until its call has ended, and before its last look. What strikes after
   * that is for the next one to tell. Left out: no step comes near it.
   */
  attach: { early: readonly Code[]; call: readonly Code[]; late: readonly Code[] }
  /** Struck before its first look, and while it is under way; after the last look at the backend it is done. */
  detach?: { early: readonly Code[]; open: readonly Code[] }
}

const DONE = ['done'] as const
const HARMLESS = { attach: { early: DONE, call: DONE, late: DONE }, detach: { early: DONE, open: DONE } }
const NO_ANSWER = ['NOT_RUNNING'] as const
const UNHEARD = { early: NO_ANSWER, call: NO_ANSWER, late: NO_ANSWER }
const UNHEARD_AT_BACKEND = { early: NO_ANSWER, open: NO_ANSWER }
/** The call hangs in the frontend, which is heard. */
const HUNG = { early: NO_ANSWER, call: ['TIMEOUT'], late: NO_ANSWER } as const
/** The limit of the call is little more than that of the connection: on a slow machine either strikes first. */
const UNHEARD_AT_FRONTEND = { early: NO_ANSWER, call: ['NOT_RUNNING', 'TIMEOUT'], late: NO_ANSWER } as const
/** One that takes no call is told so after seconds; on a slow machine the limit of the whole call strikes first. */
const NO_ANSWER_YET = ['NOT_RUNNING', 'TIMEOUT'] as const
/** Another that saw the attachments end first may just be clearing up. */
const DONE_OR_BUSY = ['done', 'CONFLICT'] as const

export const AT_BACKENDS: readonly Strike[] = [
  {
    blows: [{ name: 'killed', at: 'backends' }],
    heal: 'start',
    attach: UNHEARD,
    detach: UNHEARD_AT_BACKEND,
  },
  {
    blows: [{ name: 'halt', at: 'backends' }],
    heal: 'start',
    attach: UNHEARD,
    // Of one that is known to be halted nobody has a device: unlike of one that only does not answer.
    detach: { early: NO_ANSWER, open: DONE },
  },
  {
    blows: [{ name: 'restart', at: 'backends' }],
    attach: { early: DONE, call: DONE, late: ['ATTACH_FAILED'] },
    detach: { early: DONE_OR_BUSY, open: DONE },
  },
  { blows: [{ name: 'pause', at: 'backends' }], attach: HUNG, detach: UNHEARD_AT_BACKEND },
  {
    blows: [{ name: 'agent-frozen', at: 'backends' }],
    attach: { early: NO_ANSWER_YET, call: ['TIMEOUT'], late: NO_ANSWER_YET },
    detach: { early: NO_ANSWER_YET, open: NO_ANSWER_YET },
  },
  {
    blows: [{ name: 'hostile-answer', at: 'backends', value: 'echo nonsense' }],
    attach: UNHEARD,
    detach: UNHEARD_AT_BACKEND,
  },
  {
    blows: [{ name: 'unplug', at: 'backends' }],
    attach: { early: ['NOT_FOUND'], call: ['NOT_FOUND'], late: ['NOT_FOUND'] },
    detach: { early: ['NOT_FOUND'], open: DONE },
  },
  {
    blows: [{ name: 'replug', at: 'backends' }],
    attach: { early: ['done', 'NOT_FOUND'], call: ['CONFLICT'], late: ['NOT_FOUND'] },
    detach: { early: DONE_OR_BUSY, open: DONE },
  },
  {
    blows: [{ name: 'link-closed', at: 'backends' }],
    attach: { early: DONE, call: DONE, late: ['ATTACH_FAILED'] },
    detach: { early: DONE_OR_BUSY, open: DONE },
  },
  {
    blows: [{ name: 'link-stalled', at: 'backends' }],
    attach: { early: ['TIMEOUT'], call: ['TIMEOUT'], late: DONE },
    detach: { early: DONE, open: DONE },
  },
  {
    blows: [{ name: 'attach-hangs', at: 'backends' }],
    attach: { early: ['TIMEOUT'], call: ['TIMEOUT'], late: DONE },
  },
  {
    blows: [{ name: 'service-missing', at: 'backends' }],
    attach: { early: ['NO_PROXY', 'ATTACH_FAILED'], call: ['ATTACH_FAILED'], late: DONE },
  },
]

export const ELSEWHERE: readonly Strike[] = [
  { blows: [{ name: 'killed', at: 'frontends' }], heal: 'start', ...HARMLESS, attach: UNHEARD_AT_FRONTEND },
  { blows: [{ name: 'halt', at: 'frontends' }], heal: 'start', ...HARMLESS, attach: UNHEARD_AT_FRONTEND },
  {
    blows: [{ name: 'restart', at: 'frontends' }],
    attach: { early: DONE, call: DONE, late: ['ATTACH_FAILED'] },
    detach: { early: DONE_OR_BUSY, open: DONE },
  },
  { blows: [{ name: 'pause', at: 'frontends' }], ...HARMLESS, attach: UNHEARD_AT_FRONTEND },
  {
    blows: [{ name: 'agent-frozen', at: 'frontends' }],
    ...HARMLESS,
    attach: { early: NO_ANSWER_YET, call: NO_ANSWER_YET, late: NO_ANSWER_YET },
  },
  {
    blows: [
      { name: 'hostile-answer', at: 'frontends', value: 'echo nonsense' },
      { name: 'qubesd-garbled', at: 'dom0' },
    ],
    ...HARMLESS,
    attach: UNHEARD,
  },
  {
    blows: [
      { name: 'late-answer', at: 'backends', value: '1' },
      { name: 'service-missing', at: 'frontends', value: 'qubes.USBDetach' },
      { name: 'qubesd-slow', at: 'dom0' },
      { name: 'qubesd-restarting', at: 'dom0' },
    ],
    ...HARMLESS,
  },
  {
    blows: [
      { name: 'late-answer', at: 'frontends', value: '0.5' },
      { name: 'service-missing', at: 'backends', value: 'qubes.USBDetach' },
      { name: 'qubesd-lying', at: 'dom0' },
    ],
    ...HARMLESS,
  },
  {
    blows: [
      { name: 'slow-attach', at: 'backends', value: '1' },
      { name: 'qubesd-silent', at: 'dom0' },
    ],
    attach: HARMLESS.attach,
  },
  {
    blows: [{ name: 'service-missing', at: 'frontends' }],
    attach: { early: ['NO_PROXY'], call: ['NO_PROXY'], late: DONE },
  },
  {
    blows: [{ name: 'no-free-port', at: 'frontends' }],
    attach: { early: ['ATTACH_FAILED'], call: ['ATTACH_FAILED'], late: DONE },
  },
  {
    blows: [{ name: 'policy-refuses', at: 'dom0' }],
    attach: { early: ['REFUSED'], call: ['REFUSED'], late: DONE },
  },
]

/** The faults that are not tried at every step, and why. */
export const NOT_AT_EVERY_STEP: Partial<Record<FaultName, string>> = {
  start: 'it is no fault: it brings back what was killed or halted',
  'yank-during-attach':
    'it strikes at one moment within the call, which is no step; unplug is tried at every step',
}
