import { spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { execa } from 'execa'
import * as z from 'zod/mini'
import { askLab, type Request } from './control.ts'
import type { DaemonOptions } from './daemon.ts'
import type { ExecPlan, PluggedDevice } from './engine.ts'
import { LabError } from './errors.ts'
import type { Fault, FaultName } from './faults.ts'
import { parseLabFile, readLabFile } from './file/read.ts'
import { type DeviceDefinition, deviceSchema, type LabFileText } from './file/schema.ts'
import type { LabStatus } from './lab.ts'
import { layOut } from './layout.ts'
import { findLabDirectory } from './place.ts'
import { endProcess, findProcesses } from './qrexec/janitor.ts'

/** How long the lab's process may take to end once it was told to, milliseconds. */
const END_LIMIT = 10_000
/** A directory without a record is one that is being made, this long; milliseconds. */
const START_LIMIT = 3000

export interface StartOptions {
  /** A lab file, a lab as a value, or null for the default lab. */
  readonly file?: string | LabFileText | null
  readonly name?: string
  readonly engine?: 'process' | 'kernel'
  /** Seconds after which the lab ends by itself. */
  readonly lifetime?: number | null
  /** The built lab: `dist/lab.cjs`. */
  readonly bundle: string
  readonly env?: NodeJS.ProcessEnv
}

/** What a program in a qube came to. */
export interface ExecResult {
  readonly code: number
  readonly stdout: Buffer
  readonly stderr: string
}

/** A lab that runs, for commands and tests. */
export interface RunningLab {
  readonly name: string
  readonly dir: string
  /** The value for QUSB_SITE. */
  readonly site: string
  status(): Promise<LabStatus>
  /** Runs a program in a qube; the result whatever its exit code. */
  exec(qube: string, argv: readonly string[], input?: string | Buffer): Promise<ExecResult>
  execPlan(qube: string, argv: readonly string[]): Promise<ExecPlan>
  plug(device: z.input<typeof deviceSchema>): Promise<PluggedDevice>
  unplug(backend: string, port: string): Promise<void>
  fault(name: FaultName, qube?: string | null, options?: { value?: string; off?: boolean }): Promise<void>
  /** Calls a service from the lab's dom0 through its qrexec-client. */
  call(qube: string, command: string, input?: string, flags?: readonly string[]): Promise<ExecResult>
  down(): Promise<void>
}

const firstLineSchema = z.union([
  z.object({ ready: z.literal(true) }),
  z.object({ ready: z.literal(false), message: z.string(), hint: z.nullable(z.string()) }),
])
const recordSchema = z.object({
  pid: z.int().check(z.positive()),
  name: z.string(),
  engine: z.string(),
})

/**
 * Brings a lab up and resolves when it is ready.
 * @throws LabError when it runs already, its file is wrong, or its engine cannot run here
 */
export async function startLab(options: StartOptions): Promise<RunningLab> {
  const { name = 'lab', engine = 'process', lifetime = null, bundle, env = process.env } = options
  const file = options.file ?? null
  const lab = file === null || typeof file === 'string' ? readLabFile(file) : parseLabFile(file, 'the lab')
  const dir = findLabDirectory(env, name)
  if (existsSync(dir)) await removeLeftOver(name, dir)
  try {
    mkdirSync(dir, { mode: 0o700 })
  } catch (error) {
    throw new LabError(`A lab called ${name} is being brought up.`, undefined, { cause: error })
  }
  const daemonOptions: DaemonOptions = { name, dir, engine, lifetime, file: lab }
  await startDaemon(bundle, daemonOptions, env)
  return openLab(name, env)
}

async function startDaemon(bundle: string, options: DaemonOptions, env: NodeJS.ProcessEnv): Promise<void> {
  const log = openSync(layOut(options.dir).log, 'a', 0o600)
  // A file: a large lab does not fit into an argument.
  const { settings } = layOut(options.dir)
  writeFileSync(settings, JSON.stringify(options), { mode: 0o600 })
  const program = 'require(process.argv[1]).runDaemon(process.argv[2])'
  // The environment marks it, so that `down` finds what is left should the process be killed.
  const child = spawn(process.execPath, ['-e', program, '--', bundle, settings], {
    detached: true,
    cwd: options.dir,
    env: { ...env, QUSB_LAB: options.dir },
    stdio: ['ignore', 'pipe', log],
  })
  closeSync(log)
  const { stdout } = child
  if (stdout === null) throw new Error('the pipe to the lab was not made')
  const lines = createInterface({ input: stdout })
  const first = await new Promise<string | null>((resolve) => {
    lines.once('line', resolve)
    child.once('exit', () => resolve(null))
    child.once('error', () => resolve(null))
  })
  lines.close()
  stdout.destroy()
  child.unref()
  if (first === null) {
    const said = readFileSync(layOut(options.dir).log, 'utf8').trim().split('\n').slice(-8).join('\n')
    await sweep(options.dir)
    throw new LabError(`The lab could not be brought up: ${said}`)
  }
  const told = firstLineSchema.parse(JSON.parse(first))
  if (!told.ready) {
    await sweep(options.dir)
    throw new LabError(told.message, told.hint ?? undefined)
  }
}

/** The lab of this name, which must run. @throws LabError when it does not */
export async function openLab(name: string, env: NodeJS.ProcessEnv = process.env): Promise<RunningLab> {
  const dir = findLabDirectory(env, name)
  const layout = layOut(dir)
  const ask = async (request: Request): Promise<unknown> => {
    try {
      return await askLab(layout.control, request)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === undefined || !['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(code)) throw error
      throw new LabError(
        `No lab called ${name} is up.`,
        `qusb lab up${name === 'lab' ? '' : ` --name ${name}`}`,
        {
          cause: error,
        },
      )
    }
  }
  // The lab's process is this very program, so its answers are taken as they are.
  const told = async <T>(request: Request) => (await ask(request)) as T
  await ask({ verb: 'status' })
  const plan = (qube: string, argv: readonly string[]) =>
    told<ExecPlan>({ verb: 'exec', qube, argv: [...argv] })
  return {
    name,
    dir,
    site: layout.site,
    status: () => told<LabStatus>({ verb: 'status' }),
    execPlan: plan,
    async exec(qube, argv, input) {
      const { file, args, env: variables, cwd } = await plan(qube, argv)
      return run(file, args, { input, env: variables, cwd, extendEnv: false })
    },
    plug: (device) => {
      const parsed: DeviceDefinition = deviceSchema.parse(device)
      return told<PluggedDevice>({ verb: 'plug', device: parsed })
    },
    unplug: (backend, port) => told<void>({ verb: 'unplug', backend, port }),
    fault: (faultName, qube = null, { value, off = false } = {}) => {
      const fault: Fault = { name: faultName, qube, value: value ?? null, on: !off }
      return told<void>({ verb: 'fault', fault })
    },
    call: (qube, command, input = '', flags = []) =>
      run(layout.qrexecClient, [...flags, '-d', qube, command], { input }),
    down: () => endLab(name, env).then(() => undefined),
  }
}

async function run(
  file: string,
  args: readonly string[],
  options: {
    input?: string | Buffer | undefined
    env?: Record<string, string>
    cwd?: string
    extendEnv?: boolean
  },
): Promise<ExecResult> {
  const { input, ...rest } = options
  const result = await execa(file, args, {
    ...rest,
    ...(input === undefined ? { stdin: 'ignore' as const } : { input }),
    reject: false,
    encoding: 'buffer',
    stripFinalNewline: false,
  })
  if (result.exitCode === undefined && result.signal === undefined) throw result
  return {
    code: result.exitCode ?? 128,
    stdout: Buffer.from(result.stdout),
    stderr: Buffer.from(result.stderr).toString('utf8'),
  }
}

/**
 * Ends a lab and removes all of it, whatever became of its process.
 * @returns false when there was none
 */
export async function endLab(name: string, env: NodeJS.ProcessEnv = process.env): Promise<boolean> {
  const dir = findLabDirectory(env, name)
  if (!existsSync(dir)) return false
  const layout = layOut(dir)
  const pid = readPid(layout.record)
  try {
    await askLab(layout.control, { verb: 'down' })
  } catch {
    if (pid !== null && isOurs(pid, dir)) endProcess(pid, 'SIGTERM')
  }
  const until = Date.now() + END_LIMIT
  while (pid !== null && isOurs(pid, dir) && Date.now() < until) await wait(20)
  await sweep(dir)
  return true
}

/** Ends every process that belongs to the lab's directory, and removes that. */
async function sweep(dir: string): Promise<void> {
  const belongs = (value: string) => value === dir || value.startsWith(`${dir}/`)
  for (let round = 0; round < 20; round++) {
    const left = [...findProcesses('QUSB_LAB', belongs), ...findProcesses('QUSB_CALL', belongs)]
    if (left.length === 0) break
    for (const pid of left) {
      if (pid !== process.pid) endProcess(pid)
    }
    await wait(20)
  }
  rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
}

/** @throws LabError when the lab that owns the directory runs */
async function removeLeftOver(name: string, dir: string): Promise<void> {
  const pid = readPid(layOut(dir).record)
  if (pid !== null && isOurs(pid, dir)) {
    const named = name === 'lab' ? '' : ` --name ${name}`
    throw new LabError(
      `A lab called ${name} is up already.`,
      `qusb lab status${named}, or qusb lab down${named}`,
    )
  }
  const made = statSync(dir, { throwIfNoEntry: false })?.ctimeMs ?? 0
  if (pid === null && Date.now() - made < START_LIMIT) {
    throw new LabError(`A lab called ${name} is being brought up.`)
  }
  await sweep(dir)
}

function readPid(record: string): number | null {
  try {
    return recordSchema.parse(JSON.parse(readFileSync(record, 'utf8'))).pid
  } catch {
    return null
  }
}

/** Whether a pid is still the lab's process and not another that got its number. */
function isOurs(pid: number, dir: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`QUSB_LAB=${dir}`)
  } catch {
    return false
  }
}
