import type { Socket } from 'node:net'
import { execa } from 'execa'
import { cleanStderr } from '../model/text.ts'

/**
 * How a program is started whose streams are ours to read and limit, and whose end is ours to judge. Nothing of the
 * caller's environment is of use to it, and some of it could mislead it.
 *
 * It is read by its events and never awaited: the bundle's execa makes no promise of such a one (scripts/bundle).
 */
const OURS_TO_JUDGE = {
  stdout: 'pipe',
  stderr: 'pipe',
  buffer: false,
  reject: false,
  cleanup: false,
  extendEnv: false,
  env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C' },
} as const

type Program = ReturnType<typeof startProgram>

/**
 * Starts a program without a limit: whoever reads its streams ends it, by `abandon`.
 * @param stdin what the program reads, or the descriptor that becomes its own
 */
export function startProgram(file: string, args: readonly string[], stdin: string | number) {
  // (execa's types know the descriptors 3 to 9 only; it takes any.)
  const first = typeof stdin === 'number' ? (stdin as 3) : 'pipe'
  const child = execa(file, args, { ...OURS_TO_JUDGE, stdin: first })
  // A program that ends before it has read its input is no error of ours.
  child.stdin?.on('error', () => {})
  child.stdin?.end(stdin)
  return child
}

/** Ends a program with SIGKILL, and lets go of its streams: nothing waits for one that has been given up. */
export function abandon(child: Program): void {
  // One that could not be started has no pid, and a kill would go to whatever number lies in its handle.
  if (child.pid !== undefined) child.kill('SIGKILL')
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy()
  child.unref()
}

/** @param then called if it could not be started; and, to no avail, if it could not be killed */
export function ifNotStarted(child: Program, then: () => void): void {
  child.on('error', then)
  // Of some failures to start (ENOTDIR, E2BIG) no event comes.
  if (child.pid === undefined) setImmediate(then)
}

/** Reads what a program says of itself, as much as counts. @returns how many bytes those are, and they, clean */
export function readStderr({ stderr }: Program): { bytes(): number; text(): string | undefined } {
  const chunks: Buffer[] = []
  let bytes = 0
  stderr.on('error', () => {})
  stderr.on('data', (chunk: Buffer) => {
    if (bytes >= STDERR_LIMIT) return
    chunks.push(chunk.subarray(0, STDERR_LIMIT - bytes))
    bytes += chunk.length
  })
  return { bytes: () => bytes, text: () => cleanStderr(Buffer.concat(chunks).toString('utf8')) }
}

export interface ProgramCall {
  /** What the program reads, or the descriptor that becomes its own. */
  stdin: string | number
  /** How long the whole call may take, ms. */
  timeoutMs: number
  /** The most that is read from stdout, bytes; a call that says more is ended. */
  stdoutLimit: number
  /** What its answer ends with: when that has come the call is over, and the program has a moment to end by itself. */
  lastWords?: string | undefined
  signal?: AbortSignal | undefined
}

/**
 * How a call ended; said: its last words have come. `stdout` is hostile until parsed; `stderr` is clean, for people, and
 * never to be parsed.
 */
export interface ProgramEnd {
  end: 'exit' | 'said' | 'timeout' | 'overflow' | 'aborted' | 'not-started'
  exitCode: number | null
  stdout: Buffer
  stderr: string | undefined
}

/** How long the streams of a program that has ended may stay open, ms: what it wrote may still have to be read. */
const EXIT_GRACE_MS = 3000

/** The most that is read of stderr, bytes. */
const STDERR_LIMIT = 8 * 1024

/**
 * Calls a program, and reads what it says within limits. Never throws for what it does.
 *
 * A limit ends with SIGKILL and destroyed streams: a program deaf to SIGTERM, or a grandchild that keeps stdout,
 * would hold the caller.
 */
export async function callProgram(
  file: string,
  args: readonly string[],
  call: ProgramCall,
): Promise<ProgramEnd> {
  const child = startProgram(file, args, call.stdin)
  return await new Promise<ProgramEnd>((settle) => {
    let settled = false
    const stdout: Buffer[] = []
    let stdoutBytes = 0
    const stderr = readStderr(child)
    const heardBytes = (): number => stdoutBytes + stderr.bytes()
    let settleTimer: NodeJS.Timeout | undefined

    const finish = (end: ProgramEnd['end'], exitCode: number | null): void => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      clearTimeout(settleTimer)
      call.signal?.removeEventListener('abort', onAbort)
      if (end === 'said') letEnd(child)
      else if (end !== 'exit') abandon(child)
      settle({ end, exitCode, stdout: Buffer.concat(stdout), stderr: stderr.text() })
    }
    const onAbort = (): void => finish('aborted', null)
    const timer = setTimeout(() => finish('timeout', null), call.timeoutMs)
    // Before all else: an error of a program that is given up already would be nobody's.
    ifNotStarted(child, () => finish('not-started', null))
    if (call.signal?.aborted === true) return onAbort()
    call.signal?.addEventListener('abort', onAbort, { once: true })

    child.stdout.on('error', () => {})
    const isLast = call.lastWords === undefined ? () => false : listenFor(call.lastWords)
    child.stdout.on('data', (chunk: Buffer) => {
      // What comes after the last words would be read for nobody.
      if (settled) return child.stdout.destroy()
      stdoutBytes += chunk.length
      if (stdoutBytes > call.stdoutLimit) return finish('overflow', null)
      stdout.push(chunk)
      if (isLast(chunk)) finish('said', null)
    })
    // `close` waits for the streams; a grandchild that keeps them must not hold us longer than a moment.
    child.once('close', (code, signal) => finish('exit', code ?? 128 + signalNumber(signal)))
    child.once('exit', (code, signal) => {
      if (settled) return
      const awaitSilence = (heard: number): void => {
        settleTimer = setTimeout(() => {
          // A process that was not let run finds its timer due before what waits to be read: read first.
          setImmediate(() => {
            if (heardBytes() !== heard) return awaitSilence(heardBytes())
            for (const stream of [child.stdout, child.stderr]) stream.destroy()
            finish('exit', code ?? 128 + signalNumber(signal))
          })
        }, EXIT_GRACE_MS)
      }
      awaitSilence(heardBytes())
    })
  })
}

/** @returns tells of each piece of a text whether some words end in it, though they began in one before */
function listenFor(words: string): (piece: Buffer) => boolean {
  let rest = Buffer.alloc(0)
  return (piece) => {
    const heard = Buffer.concat([rest, piece])
    rest = heard.subarray(Math.max(0, heard.length - words.length + 1))
    return heard.includes(words)
  }
}

/** Programs that have said all that they had to, and have not ended yet. */
const ending = new Set<Program>()

/** Gives a program a moment to end by itself, without being held up by it: none is left behind. */
function letEnd(child: Program): void {
  if (ending.size === 0) process.once('exit', killEnding)
  ending.add(child)
  const timer = setTimeout(() => abandon(child), EXIT_GRACE_MS).unref()
  child.once('close', () => {
    clearTimeout(timer)
    ending.delete(child)
    if (ending.size === 0) process.off('exit', killEnding)
  })
  child.unref()
  for (const stream of [child.stdin, child.stdout, child.stderr] as (Socket | null)[]) stream?.unref()
}

function killEnding(): void {
  for (const child of ending) child.kill('SIGKILL')
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === 'SIGKILL' ? 9 : 15
}
