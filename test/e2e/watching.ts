import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Bench, until } from './program.ts'

/** Writes the rules of a bench's dom0, all in one file. */
export function writeRules(bench: Bench, ...lines: string[]): void {
  const directory = join(bench.lab.dir, 'dom0/etc/qusb/rules.d')
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, '50-test.rules'), lines.map((line) => `${line}\n`).join(''))
}

/** `qusb watch --json`, and what it tells. */
export interface Watching {
  // biome-ignore lint/suspicious/noExplicitAny: what the program prints is what is under test.
  events(): any[]
  /** Waits for events in their order, whatever stands between: `device-added 2-1`, `device-attached 2-1 work`. */
  told(...expected: string[]): Promise<void>
  /** Waits for two events, whichever comes first: that a rule attached a device, and that a look has seen it. */
  toldBoth(one: string, other: string): Promise<void>
  stderr(): string
  /** Ends it; its exit code. */
  end(signal?: NodeJS.Signals): Promise<number | null>
  pid: number
}

/** @param options.limitMs how long it may take until something is told */
export function startWatch(
  bench: Bench,
  args: readonly string[] = [],
  { limitMs = 30_000, ...options }: { env?: NodeJS.ProcessEnv; limitMs?: number } = {},
): Watching {
  const { child, done } = bench.start(['watch', '--json', ...args], options)
  let text = ''
  let stderr = ''
  child.stdout?.on('data', (chunk: Buffer | string) => {
    text += chunk.toString()
  })
  child.stderr?.on('data', (chunk: Buffer | string) => {
    stderr += chunk.toString()
  })
  const events = () =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  let read = 0
  const find = (what: string): number =>
    events().findIndex(
      ({ event, source, qube, port, frontend }, i) =>
        i >= read &&
        [event, event === 'watching' ? source : qube, port, frontend]
          .filter((part) => part !== null)
          .join(' ') === what,
    )
  const come = async (all: readonly string[]): Promise<void> =>
    await until(
      () => `${all.join(' and ')}; told: ${text.slice(-3000)} ${stderr.slice(-1000)}`,
      () => {
        if (child.exitCode !== null) throw new Error(`it has ended: ${stderr}`)
        const found = all.map(find)
        if (found.some((at) => at < 0)) return false
        read = Math.max(...found) + 1
        return true
      },
      limitMs,
    )
  return {
    events,
    stderr: () => stderr,
    pid: child.pid ?? 0,
    async told(...expected) {
      for (const what of expected) await come([what])
    },
    toldBoth: async (one, other) => await come([one, other]),
    async end(signal = 'SIGTERM') {
      child.kill(signal)
      return (await done).code
    },
  }
}
