import { existsSync, readdirSync, readFileSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'

/** How often the lab looks for what killed clients left, milliseconds. */
const ROUND = 300
/** A file of a dead client stays this long, so that whoever just got it can still open it; milliseconds. */
const GRACE = 1000

/**
 * Cleans up after clients that were killed at any moment: ends the pumps that carry their streams, so that the
 * service sees end-of-file as with the real client, and removes their FIFOs.
 * @param calls directory of the calls' FIFOs, named `TARGET.PID.KIND` or `rpc.PID`; of kind `d`: it has left no pumps
 */
export function keepTidy(calls: string, log: (line: string) => void): { close(): void } {
  const pumpsEnded = new Set<string>()
  const timer = setInterval(() => {
    try {
      tidy(calls, pumpsEnded)
    } catch (error) {
      log(`tidying: ${(error as Error).message}`)
    }
  }, ROUND)
  return { close: () => clearInterval(timer) }
}

function tidy(calls: string, pumpsEnded: Set<string>): void {
  const dead = new Set<string>()
  const done = new Set<string>()
  for (const name of readdirSync(calls)) {
    const [target, pid, kind] = name.split('.')
    if (target === undefined || pid === undefined || existsSync(`/proc/${pid}`)) continue
    const path = join(calls, name)
    const call = join(calls, `${target}.${pid}`)
    dead.add(call)
    if (kind === 'd') done.add(call)
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat !== undefined && Date.now() - stat.ctimeMs > GRACE) unlinkSync(path)
  }
  for (const call of pumpsEnded) {
    if (!dead.has(call)) pumpsEnded.delete(call)
  }
  const orphaned = new Set([...dead].filter((call) => !pumpsEnded.has(call) && !done.has(call)))
  if (orphaned.size === 0) return
  for (const call of orphaned) pumpsEnded.add(call)
  for (const pid of findProcesses('QUSB_CALL', (call) => orphaned.has(call))) endProcess(pid)
}

/** Processes of this user that have a variable in their environment with a value that fits. */
export function findProcesses(variable: string, fits: (value: string) => boolean): readonly number[] {
  const prefix = `${variable}=`
  return readdirSync('/proc').flatMap((name) => {
    if (!/^[0-9]+$/.test(name)) return []
    const value = readEnvironment(name)
      .split('\0')
      .find((entry) => entry.startsWith(prefix))
    return value !== undefined && fits(value.slice(prefix.length)) ? [Number(name)] : []
  })
}

function readEnvironment(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
  } catch {
    // Another user's process, or gone meanwhile.
    return ''
  }
}

/** SIGKILL to one process; false when it was gone already. */
export function endProcess(pid: number, signal: NodeJS.Signals = 'SIGKILL'): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}
