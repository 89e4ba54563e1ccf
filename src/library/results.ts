/**
 * What the library gives back, in plain types: the same documents that `--json` prints, whose schemas `qusb schema`
 * prints. Fields may be added; none changes its meaning. What is absent is null. Every text is clean: without control or
 * escape characters, bounded, and no more to be believed than the qube that it comes from.
 */

/** A device of a backend, and who has it. */
export interface Device {
  /** The qube that has the USB controller. */
  backend: string
  /** Where it is plugged, as in sysfs: `2-1`, `2-1.4`. */
  port: string
  /** By whose word it is here: the backend's, or qubesd's, where nothing can be run in the backend. */
  toldBy: 'backend' | 'qubesd'
  busnum: number
  devnum: number | null
  /** Four lower-case hex digits; both `0000` where it is not known. */
  vendorId: string
  productId: string
  /** For telling devices apart; proves nothing. */
  serial: string | null
  /** It has a serial that cannot be told apart safely, so it counts as none. */
  serialUnsafe: boolean
  manufacturer: string | null
  product: string | null
  /** Class, subclass and protocol of each interface, six hex digits. */
  interfaces: string[]
  /** Mb/s */
  speed: number | null
  /**
   * unknown: the backend names a holder that cannot be, an operation is unresolved, or qubesd tells of no holder to a qube
   * that policy may hide some from.
   */
  state: 'free' | 'attached' | 'unknown'
  /** The frontend. */
  attachedTo: string | null
  /** The driver that has the device as a whole in the backend. */
  driver: string | null
  interfaceDrivers: string[]
  hub: boolean
  /** The backend does not publish it, on purpose. */
  hidden: boolean
  /** PCI address of its USB controller. */
  controller: string | null
  /** dom0 types or points with it now; null: not known. */
  inputForDom0: boolean | null
  /** Why data would be lost if the backend lost it; null: not known. */
  usage: { kind: 'mounted' | 'swap' | 'holder' | 'given'; block: string; what: string | null }[] | null
  /** In plain words: `storage`, `camera`. */
  class: string | null
  /** Maker and product, for people; never empty. */
  description: string
  /** What users call it: any of these names it. */
  aliases: string[]
  /** When qusb attached it, ISO 8601. */
  since: string | null
  /** Who had it attached by qusb, and by which rule. */
  by: { user: string; rule: string | null } | null
  /** Where the store and the backend disagree. */
  drift: 'other-tool' | 'attached-elsewhere' | 'unresolved' | null
  /** The frontend that an unresolved operation is about. */
  intendedFor: string | null
  /** What qubesd attaches by itself. */
  assignment: (Assignment & { also: Assignment[] }) | null
}

export interface Assignment {
  frontend: string
  mode: 'auto-attach' | 'ask-to-attach' | 'required'
}

/** What went wrong beside what went right. */
export interface Warning {
  /** The qube that it is about; null: this machine. */
  qube: string | null
  code: string
  message: string
  hint: string | null
}

/** An error that a part of the work ended with. */
export interface Failure {
  /** As QusbError's. */
  code: string
  message: string
  /** What to do next. */
  hint: string | null
  /** The outside's own words. */
  detail: string | null
  candidates?: { selector: string; description: string }[] | undefined
}

export interface ListResult {
  schema: 1
  devices: Device[]
  warnings: Warning[]
  /** A backend that was named could not be asked. */
  error?: Failure | undefined
}

export interface Attachment {
  backend: string
  port: string
  frontend: string
  vendorId: string
  productId: string
  serial: string | null
  description: string
  /** ISO 8601; null where qusb did not attach it. */
  since: string | null
}

export interface PlanStep {
  step: string
  what: string
}

export interface AttachResult {
  schema: 1
  /** false: it was there already, or nothing was to be done but say what would be. */
  changed: boolean
  attachment: Attachment
  /** The qube that it was taken from; null where nobody had it. */
  from: string | null
  /** Of a dry run: what would be done. */
  plan?: PlanStep[] | undefined
  warnings: Warning[]
}

export interface Detached extends Omit<Attachment, 'frontend'> {
  /** Who had it; null: nobody. */
  frontend: string | null
  changed: boolean
  /** None that this qube may ask about has it; whether another has is not known. */
  unsure?: true | undefined
  error?: Failure | undefined
}

export interface DetachResult {
  schema: 1
  changed: boolean
  attachments: Detached[]
  /** The only one, where there is one. */
  attachment: Detached | null
  /** Of a dry run: what would be done. */
  plan?: PlanStep[] | undefined
  warnings: Warning[]
}

/** A rule for devices that are plugged in. */
export interface Rule {
  /** A selector, or `*`. */
  device: string
  /** null: any. */
  backend: string | null
  /** null: nobody. */
  frontend: string | null
  action: 'allow' | 'ask' | 'deny'
  options: RuleOptions
  /** As a file has it, in one spelling. */
  text: string
  /** What `qusb rule remove` takes. */
  id: string
  file: string
  line: number
}

export interface RuleOptions {
  /** Start the frontend where it is halted. */
  start: boolean
  /** The rule counts only while the frontend runs. */
  whenRunning: boolean
  /** Seconds to wait before the attach. */
  delay: number
  /** How often a failed attach is tried again. */
  retry: number
  /** Say on the desktop what was done. */
  notify: boolean
}

/** What the rules say of a device. */
export interface Explanation {
  schema: 1
  device: {
    /** It is there; else it was told of and nobody sees it. */
    plugged: boolean
    backend: string
    port: string | null
    vendorId: string
    productId: string
    serial: string | null
    interfaces: string[]
    description: string
    aliases: string[]
  }
  /** none: no rule is about it. */
  action: 'allow' | 'ask' | 'deny' | 'none'
  /** The rule that decides. */
  rule: Rule | null
  frontend: string | null
  options: RuleOptions
  /** waits: until its frontend runs. refused: something else than the rules says no. */
  outcome: 'attached' | 'asked' | 'waits' | 'refused' | 'denied' | 'nothing'
  /** What stands in the way, or is worth knowing. */
  notes: { code: string; message: string; hint: string | null }[]
  /** Every rule in its order, and why it wins or does not. */
  considered: { rule: Rule; outcome: 'wins' | 'beaten' | 'no-match'; why: string }[]
  warnings: Warning[]
}

export interface WatchEvent {
  schema: 1
  /** ISO 8601, UTC: when it was seen. */
  at: string
  /** watching: the first, and whenever what says when to look is another. */
  event:
    | 'watching'
    | 'device-added'
    | 'device-removed'
    | 'device-attached'
    | 'device-detached'
    | 'qube-started'
    | 'qube-stopped'
    | 'qube-paused'
    | 'qube-unpaused'
    // Of `qusb watch --auto` only: what a rule brought about.
    | 'rule-attached'
    | 'rule-failed'
    | 'rule-refused'
    | 'rule-given-back'
  /** What said when to look: the events of qubesd, or the clock. */
  source: 'qubesd' | 'surveys'
  qube: string | null
  backend: string | null
  port: string | null
  frontend: string | null
  vendorId: string | null
  productId: string | null
  serial: string | null
  description: string | null
  /** Which rule it was. */
  rule: string | null
  /** Why, where there is something to say. */
  message: string | null
}
