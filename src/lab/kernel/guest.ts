import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { AgentSilent, askGuest, callGuest, type GuestAddress } from './guest-call.ts'
import type { Vm } from './vm.ts'

/** A guest that runs, and the two ways into it. */
export interface Guest {
  readonly vm: Vm
  /** Where qrexec calls arrive. */
  readonly agent: GuestAddress
  /** The lab's own way in, which no fault closes but a pause. */
  readonly door: GuestAddress
}

/** What a shell script in a guest came to. */
export interface ScriptResult {
  /** Null when the guest went away. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a script as root in a guest, through the door, with `input` on stdin. `limit` in milliseconds is for all of it. */
export async function runScript(
  { door }: Pick<Guest, 'door'>,
  script: string,
  limit: number,
  input: Buffer = Buffer.alloc(0),
): Promise<ScriptResult> {
  const call = await callGuest(door, { command: script, user: 'root' }, limit)
  const timer = setTimeout(() => call.data.destroy(), limit)
  let stdout = ''
  let stderr = ''
  call.data.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('utf8')
  })
  call.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8')
  })
  call.data.end(input)
  await once(call.data, 'close')
  clearTimeout(timer)
  // A socket that was cut leaves an exit code that may never come.
  const code = await Promise.race([call.exit, wait(1000, null, { ref: false })])
  return { code, stdout, stderr }
}

/**
 * Waits until a guest's agent answers: QEMU's network takes connections long before. `limit` in milliseconds;
 * throws an Error that says what the console said last.
 */
export async function waitUntilReady(guest: Guest, name: string, limit: number): Promise<void> {
  const end = Date.now() + limit
  for (let round = 0; ; round++) {
    if (guest.vm.isOver()) throw new Error(`${name} does not boot: ${await guest.vm.ended}`)
    const answer = await askGuest(guest.agent, `ping ${round}`, 2000).catch((error: unknown) => {
      if (error instanceof AgentSilent) return ''
      throw error
    })
    if (answer === `pong ${round}`) return
    if (Date.now() > end) {
      const console = await readFile(guest.vm.console, 'utf8').catch(() => '')
      const said = console.trim().split('\n').slice(-3).join(' / ')
      throw new Error(`${name} did not boot within ${limit / 1000} s${said && `; its console: ${said}`}`)
    }
    await wait(100)
  }
}
