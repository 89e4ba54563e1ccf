import type { Readable, Writable } from 'node:stream'
import type { Fault } from './faults.ts'
import type { DeviceDefinition, LabFile, QubeDefinition } from './file/schema.ts'
import type { Decision } from './policy/evaluate.ts'
import type { Dom0Call } from './qrexec/dom0-services.ts'
import type { Question } from './qrexec/rpc.ts'

/**
 * A running domain as dom0 sees it. An HVM with a stub domain is two of them: `work` and `work-dm`.
 * A start gives the next domain id.
 */
export interface Domain {
  readonly name: string
  readonly domid: number
  /** The qube's definition; for a stub domain that of the qube it serves. */
  readonly qube: QubeDefinition
  readonly isStubdom: boolean
}

/** One call of qrexec that has arrived at a domain's agent. */
export interface Call {
  /** `root`, `user` or `DEFAULT`. */
  readonly user: string
  /** The service with its argument (`qubes.USB+2-1`), or null when `command` is to run in a login shell. */
  readonly service: string | null
  readonly command: string | null
  /** Who calls: `dom0` or a domain. */
  readonly source: string
  /** Of a call to dom0: the qube that the caller named, which policy may have turned into dom0. */
  readonly target: string
  /** End-of-file when the caller is done or dead. */
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable
}

/** What the lab offers an engine. */
export interface EngineHost {
  /** The lab's own directory. Sockets, FIFOs and images live below it; `down` removes it. */
  readonly dir: string
  readonly file: LabFile
  /** Directory for what the engine keeps of a qube: `DIR/qubes/NAME`. */
  qubeDir(name: string): string
  /** A line for the lab's log. */
  log(line: string): void
  /** What policy says now of a call between qubes. */
  evaluate(source: string, target: string, service: string): Decision
  /** Tells clients that the process `pid` answers at the door from now on; `answerCalls` does it by itself. */
  setDoorkeeper(domain: Domain, pid: number): void
  /** The domain that runs under this name, or null. */
  domain(name: string): Domain | null
  /** Starts a halted qube, as an autostarting call does; null when it cannot be. */
  autostart(name: string): Promise<Domain | null>
  /** Calls a service of the lab's dom0 for a qube, once policy has said yes; resolves with the exit code. */
  callDom0(call: Dom0Call): Promise<number>
  /**
   * Answers calls at the domain's door (`run/qubes/qrexec.DOMID`) in this process, instead of an agent process
   * of the engine's own: `answer` gets each call and resolves with its exit code. Close it when the domain ends;
   * calls under way then end for their callers with 125.
   */
  answerCalls(domain: Domain, answer: (call: Call) => Promise<number>): Promise<{ close(): void }>
}

/** A device as the lab (not qusb) sees it. */
export interface PluggedDevice {
  readonly backend: string
  readonly port: string
  readonly kind: string
  readonly vendorId: string
  readonly productId: string
  readonly serial: string | null
  /** What is published of it; left out where the engine does not know. */
  readonly manufacturer?: string | null
  readonly product?: string | null
  /** Six hex digits each. */
  readonly interfaces?: readonly string[]
  readonly hidden: boolean
  /** `usb`, `usbip-host`; null when it cannot be known. */
  readonly driver: string | null
  readonly attachedTo: string | null
  /** The file behind a stick, for tests that compare content. */
  readonly image?: string | null
}

/** A process that `qusb lab exec` runs with the terminal's own streams. */
export interface ExecPlan {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

/** A fault or a device that this engine cannot do; the message says which engine can. */
export class NotInThisEngine extends Error {}

/**
 * What makes a lab's qubes: processes or virtual machines. The lab keeps names, domain ids, links, policy
 * and the site; the engine makes a domain answer at its door and moves devices.
 */
export interface Engine {
  readonly name: 'process' | 'kernel'
  /** What is missing on this machine, each with how to get it; empty when the engine can run. */
  missing(): Promise<readonly string[]>
  /** Called once, before any domain starts. */
  open(): Promise<void>
  /**
   * Starts a domain and resolves when its agent answers. The door is a FIFO at `run/qubes/qrexec.DOMID`, made
   * by the lab before; see `answerCalls`. The devices of a backend are plugged by `plug` afterwards.
   */
  start(domain: Domain): Promise<void>
  /** Ends everything of the domain at once. The lab keeps or removes its socket. */
  stop(domain: Domain, how: 'halt' | 'kill'): Promise<void>
  /** The domain's processors stand still (Xen pause). */
  pause(domain: Domain, on: boolean): Promise<void>
  /** The agent does not answer new calls; everything else runs on. */
  freezeAgent(domain: Domain, on: boolean): Promise<void>
  /** Plugs a device and resolves with where it is, once the backend shows it. */
  plug(device: DeviceDefinition): Promise<PluggedDevice>
  /** Pulls a device out, whatever it does; resolves when it is out. Rejects when nothing is there. */
  unplug(backend: string, port: string): Promise<void>
  devices(): Promise<readonly PluggedDevice[]>
  /** Faults that the lab does not do by the methods above; throws NotInThisEngine. */
  fault(fault: Fault): Promise<void>
  /** A line that a script of this engine's qubes wrote to the lab's question FIFO. */
  question?(question: Question): void
  exec(qube: string, argv: readonly string[]): Promise<ExecPlan>
  /** Ends all processes it made and frees what it holds. Twice is once. */
  close(): Promise<void>
}

export type CreateEngine = (host: EngineHost) => Engine
