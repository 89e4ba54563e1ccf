import type { PluggedDevice } from '../engine.ts'
import type { QubeDefinition } from '../file/schema.ts'
import type { QubeState } from '../qubes.ts'

/** A qube as the lab's qubesd sees it. */
export interface WorldQube {
  readonly definition: QubeDefinition
  readonly state: QubeState
  /** null while it does not run. */
  readonly domid: number | null
}

/** What the lab's qubesd knows of its lab and can do to it. */
export interface World {
  qubes(): readonly WorldQube[]
  /** What is plugged into running backends. */
  devices(): Promise<readonly PluggedDevice[]>
  start(name: string): Promise<void>
  stop(name: string, how: 'halt' | 'kill'): Promise<void>
  pause(name: string, on: boolean): Promise<void>
  /** Switches a service of a qube on or off, for its next start. */
  setService(name: string, service: string, on: boolean): void
  /** Calls a service as dom0; its exit code and its stderr. */
  call(qube: string, service: string, input: string): Promise<{ code: number; stderr: string }>
  /** Lets a frontend call a port of a backend; returns what takes that back. */
  allow(frontend: string, backend: string, port: string): () => void
  /** Whether policy lets a qube make a call about another; dom0 may make all. */
  permits(source: string, qube: string, call: string): boolean
  log(line: string): void
}

export type Generation = '4.2' | '4.3'

/** An exception of qubesd, by the name that goes over the socket. `ProtocolError` is told by an empty answer. */
export class QubesdException extends Error {
  readonly type: string

  constructor(type: string, message: string) {
    super(message)
    this.type = type
  }
}

/** A call that is malformed or not known. */
export const protocolError = (why: string): QubesdException => new QubesdException('ProtocolError', why)

/** @throws QubesdException when there is no such qube */
export function qubeOf(world: World, name: string): WorldQube {
  const qube = world.qubes().find(({ definition }) => definition.name === name)
  if (qube === undefined) throw new QubesdException('QubesVMNotFoundError', `No such domain: '${name}'`)
  return qube
}
