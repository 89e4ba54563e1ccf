import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { build } from 'esbuild'
import { onTestFinished } from 'vitest'

export interface WorkerProgram {
  file: string
  remove(): void
}

/** Bundles the worker so that starting one costs no transpiling. */
export async function buildWorker(): Promise<WorkerProgram> {
  const directory = mkdtempSync(join(tmpdir(), 'qusb-worker-'))
  chmodSync(directory, 0o755)
  const file = join(directory, 'worker.cjs')
  await build({
    entryPoints: [join(import.meta.dirname, 'worker.ts')],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    define: { __FAULT_POINTS__: 'false' },
    loader: { '.sh': 'text' },
    logLevel: 'warning',
  })
  return { file, remove: () => rmSync(directory, { recursive: true, force: true }) }
}

export interface Worker {
  child: ChildProcessByStdio<Writable, Readable, null>
  /** What it said, line by line, so far. */
  lines: string[]
  /** Resolves with the next line, or undefined when it ends without one. */
  nextLine(): Promise<string | undefined>
  /** Resolves when it has ended and all it said is in `lines`. */
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/**
 * Starts a worker; the test's end kills it.
 * @param through a program and its arguments that starts the worker, as `prlimit`
 * @param uid as which user
 */
export function startWorker(
  program: WorkerProgram,
  args: readonly string[],
  { through = [], uid }: { through?: readonly string[]; uid?: number } = {},
): Worker {
  const [command = process.execPath, ...rest] = [...through, process.execPath, program.file, ...args]
  const child = spawn(command, rest, {
    stdio: ['pipe', 'pipe', 'inherit'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const lines: string[] = []
  const waiting: ((line: string | undefined) => void)[] = []
  const reader = createInterface({ input: child.stdout })
  const closed = new Promise<void>((resolve) => reader.once('close', resolve))
  reader.on('line', (line) => {
    lines.push(line)
    for (const wake of waiting.splice(0)) wake(line)
  })
  reader.once('close', () => {
    for (const wake of waiting.splice(0)) wake(undefined)
  })
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  return {
    child,
    lines,
    nextLine: () => new Promise((resolve) => waiting.push(resolve)),
    ended: closed.then(() => exited),
  }
}
