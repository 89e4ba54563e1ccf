import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import type { Call, EngineHost } from '../engine.ts'
import type { Decision } from '../policy/evaluate.ts'
import type { GuestFaults } from './faults.ts'
import type { Guest } from './guest.ts'
import { callGuest } from './guest-call.ts'
import type { OutgoingCall } from './hub.ts'
import type { Links } from './links.ts'

/** The exit code of a call whose guest or agent went away. */
const NO_CONNECTION = 125
const REFUSED = 126
/** How long the connection of a service that has ended may stay open, milliseconds. */
const LEFT_OPEN = 500

export interface CallParts {
  readonly host: EngineHost
  readonly faults: GuestFaults
  readonly links: Links
  guest(name: string): Guest | undefined
  /** The first line of an export that is to be pulled out has gone by: `DEVID SPEED`. */
  yank(backend: string, line: string): void
}

/** A call from dom0: its streams to the guest and back. Resolves with its exit code. */
export async function answerCall({ guest, faults }: CallParts, name: string, call: Call): Promise<number> {
  const target = guest(name)
  if (!target) return NO_CONNECTION
  await faults.beforeService(name)
  const { user, source } = call
  const request =
    call.service !== null ? { service: call.service, source, user } : { command: call.command ?? '', user }
  // How long to wait for an agent that says nothing is the caller's affair.
  const { data, stderr, exit } = await callGuest(target.agent, request, 0)
  call.stdin.pipe(data)
  data.pipe(call.stdout)
  stderr.pipe(call.stderr)
  // A caller that dies ends nothing but its input; what the service still says goes nowhere.
  call.stdin.once('close', () => data.end())
  call.stdout.once('close', () => data.resume())
  call.stderr.once('close', () => stderr.resume())
  const closed = new Promise<void>((resolve) => data.once('close', () => resolve()))
  const code = await Promise.race([exit, target.vm.ended.then(() => null)])
  // A program left behind may hold the connection; the service has ended all the same.
  await Promise.race([closed, wait(LEFT_OPEN, undefined, { ref: false })])
  call.stdin.unpipe(data)
  data.destroy()
  return code ?? NO_CONNECTION
}

/** A call from a guest: policy, then the target's service at the other end of the same connection. */
export async function connectCall(parts: CallParts, source: string, call: OutgoingCall): Promise<number> {
  const { host, faults, links } = parts
  const { target, service, socket } = call
  const decision = host.evaluate(source, target, service)
  if (decision.action === 'allow' && decision.target === 'dom0') {
    call.accept()
    const code = await host.callDom0({ service, source, target, stdin: socket, stdout: socket })
    host.log(`${source} -> dom0 ${service}: ${code}`)
    socket.end()
    return code
  }
  const to = decision.action === 'allow' ? await reach(parts, decision) : undefined
  host.log(`${source} -> ${target} ${service}: ${decision.action}${to ? '' : ', no connection'}`)
  if (!to) {
    call.refuse()
    return REFUSED
  }
  const backend = decision.target
  const isExport = service.startsWith('qubes.USB+')
  try {
    call.accept()
    await faults.beforeService(backend)
    if (isExport) await faults.beforeExport(backend)
    const request = { service, source, user: decision.user ?? 'user' }
    const { data, stderr, exit } = await callGuest(to.agent, request, 0)
    createInterface(stderr).on('line', (line) => host.log(`${backend} ${service}: ${line}`))
    const firstWord =
      isExport && faults.takeYank(backend) ? (line: string) => parts.yank(backend, line) : undefined
    links.join({ frontend: source, backend, service }, socket, data, firstWord)
    return (await exit) ?? NO_CONNECTION
  } catch (error) {
    host.log(`${source} -> ${backend} ${service}: ${(error as Error).message}`)
    socket.destroy()
    return NO_CONNECTION
  }
}

/** The target of an allowed call, started if policy wants that. */
async function reach({ host, guest }: CallParts, decision: Decision): Promise<Guest | undefined> {
  const { target, autostart } = decision
  if (!guest(target) && autostart) await host.autostart(target)
  return guest(target)
}
