import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { NotInThisEngine } from '../engine.ts'
import { LabError } from '../errors.ts'
import type { Fault, FaultName } from '../faults.ts'
import type { Backend } from './backend.ts'
import { writeProgram } from './guest-files.ts'
import type { Qube } from './qube.ts'

/** Longer than anybody waits. */
const FOR_EVER = '1000000'

/**
 * Sets or takes back a fault inside one qube.
 * @throws LabError when the qube is not one for this fault, NotInThisEngine
 */
export function setFault(qube: Qube, fault: Fault): void {
  const set = SETTERS[fault.name]
  if (set === undefined) throw new NotInThisEngine(`${fault.name} is not a fault of the process engine`)
  set(qube, fault)
}

const SETTERS: Partial<Record<FaultName, (qube: Qube, fault: Fault) => void>> = {
  'late-answer': (qube, fault) => delay(qube, 'late', fault, fault.value ?? '2'),
  'slow-attach': (qube, fault) => delay(qube, 'late.qubes.USB', fault, fault.value ?? '2'),
  'attach-hangs': (qube, fault) => delay(qube, 'late.qubes.USB', fault, FOR_EVER),
  'yank-during-attach': (qube, fault) => {
    backendOf(qube, fault).yankNext = fault.on
  },
  'link-closed': (qube, fault) => backendOf(qube, fault).closeLinks(),
  'link-stalled': (qube, fault) => backendOf(qube, fault).stall(fault.on),
  'no-free-port': (qube, fault) => {
    if (qube.vhci === null) throw new LabError(`${qube.domain.name} has no virtual host controller.`)
    qube.vhci.fill(fault.on)
  },
  'service-missing': (qube, fault) =>
    hideService(qube, fault.value ?? (qube.backend === null ? 'qubes.USBAttach' : 'qubes.USB'), fault.on),
  'hostile-answer': answerWith,
}

function delay(qube: Qube, file: string, fault: Fault, seconds: string): void {
  if (!/^[0-9]+(\.[0-9]+)?$/.test(seconds)) throw new LabError(`${seconds} is not a number of seconds.`)
  const path = join(qube.root, 'lab', file)
  if (fault.on) writeFileSync(path, `${seconds}\n`)
  else rmSync(path, { force: true })
}

/** Moves a service's file away, or back. */
function hideService(qube: Qube, service: string, on: boolean): void {
  if (!/^[A-Za-z0-9+._-]+$/.test(service)) throw new LabError(`${service} is not the name of a service.`)
  const file = join(qube.root, 'etc/qubes-rpc', service)
  const hidden = join(qube.root, 'lab', `hidden.${service}`)
  const [from, to] = on ? [file, hidden] : [hidden, file]
  if (!existsSync(from)) {
    if (existsSync(to)) return
    throw new LabError(`${qube.domain.name} has no service ${service}.`)
  }
  renameSync(from, to)
}

/** Replaces qubes.VMShell by a command that does what it wants with its stdin. */
function answerWith(qube: Qube, fault: Fault): void {
  hideService(qube, 'qubes.VMShell', false)
  if (!fault.on) return
  if (fault.value === null) throw new LabError('hostile-answer needs a command.')
  hideService(qube, 'qubes.VMShell', true)
  writeProgram(join(qube.root, 'etc/qubes-rpc/qubes.VMShell'), `#!/bin/sh\n${fault.value}\n`)
}

function backendOf(qube: Qube, fault: Fault): Backend {
  if (qube.backend === null)
    throw new LabError(`${qube.domain.name} has no USB controller: ${fault.name} is for a backend.`)
  return qube.backend
}
