import { execa } from 'execa'

/** How long a user's command may take for one event, ms. */
const RUN_MS = 60_000
/** Events that wait for it: a USB qube can make them faster than any command takes them. */
const WAITING = 256

/** What an event tells, by name; null for what it does not. */
export type EventData = Readonly<Record<string, string | number | null>>

/** The environment that a command gets of an event: `vendorId` is QUSB_VENDOR_ID; what is null is not set. */
export function environmentOf(event: EventData): Record<string, string> {
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(event)) {
    if (value !== null) env[`QUSB_${name.replace(/[A-Z]/g, '_$&').toUpperCase()}`] = String(value)
  }
  return env
}

/**
 * Runs a user's program for each event, one after the other, without a shell. Its output is ours; what it comes to is
 * told only when it fails.
 * @param program a path, or a name that is looked up in PATH
 * @param warn told of what went wrong
 */
export function runForEvents(
  program: string,
  warn: (message: string) => void,
): { take(event: EventData): void; end(): Promise<void> } {
  const waiting: EventData[] = []
  let dropped = 0
  let working: Promise<void> | undefined
  const work = async (): Promise<void> => {
    for (let event = waiting.shift(); event !== undefined; event = waiting.shift()) {
      const { failed, shortMessage } = await execa(program, [], {
        stdin: 'ignore',
        // Our stdout carries the events.
        stdout: 2,
        stderr: 2,
        reject: false,
        timeout: RUN_MS,
        killSignal: 'SIGKILL',
        env: environmentOf(event),
      })
      if (failed) warn(shortMessage ?? `${program} failed`)
      if (dropped > 0) warn(`${program} is too slow: it was not told of ${dropped} events`)
      dropped = 0
    }
    working = undefined
  }
  return {
    take(event) {
      if (waiting.length >= WAITING) dropped++
      else waiting.push(event)
      working ??= work()
    },
    async end() {
      waiting.length = 0
      await working
    },
  }
}
