import { accessSync, constants, statSync } from 'node:fs'
import { constants as system } from 'node:os'
import { join } from 'node:path'

/** Where the signals to this process go while `to` is set, instead of ending what it does. */
export interface SignalDiversion {
  to: ((signal: NodeJS.Signals) => void) | undefined
}

/** How a command of the user's ended. */
export type CommandEnd =
  | { end: 'exit'; exitCode: number; signal: NodeJS.Signals | null }
  | { end: 'not-started'; why: string }

/**
 * Runs a command of the user's as if it had been typed instead of us: with our environment and standard streams, in our
 * process group, without a limit of time. Signals to us are passed on to it; a Ctrl-C reaches it from the terminal.
 * @param options.stdoutToStderr where our own result is what stdout is for
 * @returns its exit code, 128 + N where signal N ended it
 */
export async function runCommand(
  [program, ...args]: readonly [string, ...string[]],
  { stdoutToStderr, signals }: { stdoutToStderr: boolean; signals: SignalDiversion },
): Promise<CommandEnd> {
  const { execa } = await import('execa')
  const running = execa(program, args, {
    stdio: ['inherit', stdoutToStderr ? 2 : 'inherit', 'inherit'],
    reject: false,
    buffer: false,
    // It may take what time it wants to end.
    forceKillAfterDelay: false,
  })
  signals.to = (signal) => {
    const fromTerminal = signal === 'SIGINT' && process.stdin.isTTY === true
    if (!fromTerminal) running.kill(signal)
  }
  try {
    const { exitCode, signal, originalMessage } = await running
    if (exitCode !== undefined) return { end: 'exit', exitCode, signal: null }
    if (signal !== undefined) return { end: 'exit', exitCode: 128 + system.signals[signal], signal }
    return { end: 'not-started', why: originalMessage ?? 'unknown reason' }
  } finally {
    signals.to = undefined
  }
}

/** Whether there is such a program: a path, or a name that is looked for as execvp(3) does. */
export function isProgram(program: string, searchPath: string | undefined): boolean {
  const candidates = program.includes('/')
    ? [program]
    : (searchPath ?? '/usr/bin:/bin').split(':').map((directory) => join(directory || '.', program))
  return program !== '' && candidates.some(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
