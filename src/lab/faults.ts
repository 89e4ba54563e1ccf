/** What a fault is about: a qube (as backend or frontend), or the whole lab. */
export interface FaultKind {
  readonly description: string
  /** Whether the fault needs the name of a qube. */
  readonly qube: 'backend' | 'frontend' | 'any' | 'none'
  /** What its value means, when it takes one. */
  readonly value?: string
  /** True: it happens once and cannot be taken back with --off. */
  readonly once?: boolean
}

/** The faults of the lab by the name that `qusb lab fault` takes. */
export const FAULTS = {
  'late-answer': { description: 'its services begin late', qube: 'any', value: 'seconds, default 2' },
  'slow-attach': {
    description: 'qubes.USB answers late, so that an attach takes that long',
    qube: 'backend',
    value: 'seconds, default 2',
  },
  'attach-hangs': { description: 'qubes.USB never answers: an attach hangs for ever', qube: 'backend' },
  'yank-during-attach': {
    description: 'the next device that qubes.USB exports is pulled out after its handshake',
    qube: 'backend',
  },
  'link-closed': {
    description: 'closes the data links of the attached devices of this backend',
    qube: 'backend',
    once: true,
  },
  'link-stalled': {
    description: 'stalls the data links of the attached devices of this backend',
    qube: 'backend',
  },
  killed: { description: 'the qube dies at once; its socket is left behind stale', qube: 'any', once: true },
  halt: { description: 'the qube shuts down; its socket is removed', qube: 'any', once: true },
  start: { description: 'the qube starts, with a new domain id', qube: 'any', once: true },
  restart: { description: 'the qube halts and starts again', qube: 'any', once: true },
  pause: { description: 'the qube is paused: nothing in it runs', qube: 'any' },
  'agent-frozen': { description: 'the qrexec agent does not answer; what runs goes on', qube: 'any' },
  'service-missing': {
    description: 'a service file is gone',
    qube: 'any',
    value: 'the service, default qubes.USBAttach in a frontend and qubes.USB in a backend',
  },
  'policy-refuses': { description: 'policy refuses every qubes.USB, whatever is granted', qube: 'none' },
  'no-free-port': { description: "all ports of the frontend's virtual host are taken", qube: 'frontend' },
  'hostile-answer': {
    description: 'qubes.VMShell of this qube runs a given command instead of what it is sent',
    qube: 'any',
    value: 'a shell command',
  },
  'qubesd-slow': { description: 'qubesd answers late', qube: 'none', value: 'seconds, default 2' },
  'qubesd-silent': { description: 'qubesd takes calls and never answers', qube: 'none' },
  'qubesd-restarting': {
    description: 'qubesd ends, and begins again after a while',
    qube: 'none',
    value: 'seconds, default 1',
    once: true,
  },
  'qubesd-garbled': {
    description: 'qubesd answers what is no answer',
    qube: 'none',
    value:
      'half, endless, noise, nothing or escape, and the call that is answered so, such as half:admin.vm.List; default half, of every call',
  },
  'qubesd-lying': {
    description: 'qubesd tells of qubes, devices and attachments that are not',
    qube: 'none',
  },
} as const satisfies Record<string, FaultKind>

export type FaultName = keyof typeof FAULTS

/** One fault, set or taken back. */
export interface Fault {
  readonly name: FaultName
  readonly qube: string | null
  readonly value: string | null
  readonly on: boolean
}
