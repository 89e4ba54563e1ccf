import { setTimeout as wait } from 'node:timers/promises'
import type { Fault } from '../faults.ts'
import { type Guest, runScript } from './guest.ts'

/** The faults of calls and services; those of links and machines are the engine's. */
export interface GuestFaults {
  /** False when it is none of these. Throws when the guest does not do it. */
  set(fault: Fault, guest: () => Guest): Promise<boolean>
  /** Delays whatever service begins in this qube. */
  beforeService(qube: string): Promise<void>
  /** Delays an export, or holds it until the fault is taken back. */
  beforeExport(backend: string): Promise<void>
  /** Whether the next export is to be pulled out; asking takes the fault away. */
  takeYank(backend: string): boolean
  /** Lets go of all that is held. */
  release(): void
}

const LIMIT = 20_000
const DEFAULT_SECONDS = 2

export function createGuestFaults(): GuestFaults {
  const late = new Map<string, number>()
  const slow = new Map<string, number>()
  const hanging = new Map<string, { readonly over: Promise<void>; end: () => void }>()
  const yanks = new Set<string>()
  const delay = (seconds: number | undefined) => (seconds ? wait(seconds * 1000) : Promise.resolve())
  const setDelay = (delays: Map<string, number>, qube: string, { on, value }: Fault) => {
    if (!on) return void delays.delete(qube)
    const seconds = value === null ? DEFAULT_SECONDS : Number(value)
    if (!(seconds >= 0)) throw new Error(`not a number of seconds: ${value}`)
    delays.set(qube, seconds)
  }
  const setHanging = (qube: string, on: boolean) => {
    hanging.get(qube)?.end()
    hanging.delete(qube)
    if (!on) return
    let end = () => {}
    const over = new Promise<void>((resolve) => {
      end = resolve
    })
    hanging.set(qube, { over, end })
  }
  return {
    async set(fault, guest) {
      const qube = fault.qube ?? ''
      switch (fault.name) {
        case 'late-answer':
          setDelay(late, qube, fault)
          return true
        case 'slow-attach':
          setDelay(slow, qube, fault)
          return true
        case 'attach-hangs':
          setHanging(qube, fault.on)
          return true
        case 'yank-during-attach':
          if (fault.on) yanks.add(qube)
          else yanks.delete(qube)
          return true
        case 'service-missing':
          await hideService(guest(), fault)
          return true
        case 'hostile-answer':
          await replaceShell(guest(), fault)
          return true
        default:
          return false
      }
    },
    beforeService: (qube) => delay(late.get(qube)),
    async beforeExport(backend) {
      await delay(slow.get(backend))
      await hanging.get(backend)?.over
    },
    takeYank: (backend) => yanks.delete(backend),
    release() {
      for (const { end } of hanging.values()) end()
      hanging.clear()
    },
  }
}

async function hideService(guest: Guest, { on, value }: Fault): Promise<void> {
  const names = value === null ? ['qubes.USBAttach', 'qubes.USB'] : [value]
  if (names.some((name) => !/^[A-Za-z0-9._+-]+$/.test(name))) throw new Error(`not a service: ${value}`)
  const steps = names.map((name) =>
    on
      ? `[ ! -e ${name} ] || mv ${name} /run/missing/${name}`
      : `[ ! -e /run/missing/${name} ] || mv /run/missing/${name} ${name}`,
  )
  await change(guest, `mkdir -p /run/missing && cd /etc/qubes-rpc && { ${steps.join('; ')}; }`)
}

async function replaceShell(guest: Guest, { on, value }: Fault): Promise<void> {
  const kept = '/run/qubes.VMShell'
  const script = Buffer.from(`#!/bin/sh\n${value ?? ''}\n`).toString('base64')
  await change(
    guest,
    on
      ? `[ -e ${kept} ] || cp -p /etc/qubes-rpc/qubes.VMShell ${kept}
         echo ${script} | base64 -d > /etc/qubes-rpc/qubes.VMShell`
      : `[ ! -e ${kept} ] || mv ${kept} /etc/qubes-rpc/qubes.VMShell`,
  )
}

async function change(guest: Guest, script: string): Promise<void> {
  const { code, stderr } = await runScript(guest, script, LIMIT)
  if (code !== 0) throw new Error(`the guest does not do it: ${stderr.trim() || `code ${code}`}`)
}
