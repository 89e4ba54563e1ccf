import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type * as Library from '../../src/index.ts'
import type { RunningLab } from '../../src/lab/client.ts'
import { startLab } from '../../src/lab/client.ts'
import { DEFAULT_LAB } from '../../src/lab/file/default.ts'
import type { LabFileText } from '../../src/lab/file/schema.ts'

const ROOT = resolve(import.meta.dirname, '../..')

export interface Ran {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
  // biome-ignore lint/suspicious/noExplicitAny: what the program prints is what is under test.
  json: any
}

export interface Running {
  child: ChildProcess
  /** Resolves when stderr has said this. */
  said(what: string): Promise<void>
  done: Promise<Ran>
}

/** The program on a terminal of its own. */
export interface Typed {
  child: ChildProcess
  /** All that was drawn so far. */
  screen(): string
  type(keys: string): void
  code: Promise<number | null>
}

/** A lab that tests drive, and the built program run against it. */
export interface Bench {
  lab: RunningLab
  env: NodeJS.ProcessEnv
  qusb(...args: string[]): Promise<Ran>
  start(args: string[], options?: { env?: NodeJS.ProcessEnv; faultPoint?: string }): Running
  onTerminal(...args: string[]): Typed
  /** Root's look into a qube's file tree: what a command prints there. */
  inQube(qube: string, command: string): Promise<string>
  /** The device that the store and the backend say is here. */
  device(port: string, backend?: string): Promise<Ran['json']>
  end(): Promise<void>
}

/** The built library: what it does costs a third of what the program does, which has to start first. */
const library = async (): Promise<typeof Library> => await import(join(ROOT, 'dist/library.mjs'))

let count = 0

/** The engine of benches that do not say: tests that hold on both are run again with this variable set. */
const usualEngine = () => (process.env.QUSB_TEST_ENGINE === 'kernel' ? 'kernel' : 'process')

/** Unless it says otherwise itself: most tests detach, and each would look about itself for a second until that is told. */
const EXPORT_LOOK_SECONDS = 0.1

/** Brings up a lab for one test file. */
export async function startBench(
  file: LabFileText | null = null,
  engine: 'process' | 'kernel' = usualEngine(),
): Promise<Bench> {
  const name = `t${process.pid}-${count++}`
  const bundle = join(ROOT, 'dist/lab.cjs')
  if (!existsSync(bundle)) throw new Error('not built: npm run build')
  const { qubes, ...rest } = file ?? DEFAULT_LAB
  const quick = qubes.map((qube) => ({ exportLookSeconds: EXPORT_LOOK_SECONDS, ...qube }))
  const lab = await startLab({
    file: { ...rest, qubes: quick },
    name,
    engine,
    bundle,
    lifetime: 3000,
  })
  const env: NodeJS.ProcessEnv = { ...process.env, QUSB_SITE: lab.site, NO_COLOR: '1' }
  delete env.NODE_EXTRA_CA_CERTS

  const start: Bench['start'] = (args, options = {}) => {
    const program =
      options.faultPoint === undefined
        ? [join(ROOT, 'bin/qusb.cjs'), ...args]
        : [join(ROOT, 'test/e2e/fault-points.cjs'), ...args]
    const child = spawn(process.execPath, program, {
      env: {
        ...env,
        ...options.env,
        ...(options.faultPoint === undefined ? {} : { QUSB_FAULT_POINT: options.faultPoint }),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    let wake = (): void => {}
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
      wake()
    })
    const done = new Promise<Ran>((settle) => {
      child.once('close', (code, signal) => {
        wake()
        let json: unknown
        try {
          json = JSON.parse(stdout)
        } catch {
          json = undefined
        }
        settle({ code, signal, stdout, stderr, json })
      })
    })
    const said = async (what: string): Promise<void> => {
      const deadline = Date.now() + 45_000
      while (!stderr.includes(what)) {
        if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
          throw new Error(`never said "${what}": ${stderr}`)
        }
        await Promise.race([
          new Promise<void>((resume) => {
            wake = resume
          }),
          sleep(200),
        ])
      }
    }
    return { child, said, done }
  }
  /** `script` (util-linux) makes the terminal. */
  const onTerminal: Bench['onTerminal'] = (...args) => {
    const command = [process.execPath, join(ROOT, 'bin/qusb.cjs'), ...args]
      .map((word) => `'${word.replaceAll("'", "'\\''")}'`)
      .join(' ')
    // Executed: a shell that waited (SHELL may be any) would have its own say on a Ctrl-C.
    const child = spawn('script', ['-qefc', `stty cols 100 rows 40; exec ${command}`, '/dev/null'], {
      env: { ...env, TERM: 'xterm', LC_ALL: 'C.UTF-8' },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    let screen = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      screen += text
    })
    return {
      child,
      screen: () => screen,
      type: (keys) => child.stdin?.write(keys),
      code: new Promise((settle) => child.once('close', settle)),
    }
  }
  const qusb: Bench['qusb'] = async (...args) => await start(args).done

  return {
    lab,
    env,
    start,
    qusb,
    onTerminal,
    inQube: async (qube, command) => (await lab.exec(qube, ['sh', '-c', command])).stdout.toString().trim(),
    device: async (port, backend = 'sys-usb') => {
      const { devices } = await (await library()).list({ all: true, backends: [backend], site: lab.site })
      return devices.find((each) => each.port === port)
    },
    end: async () => await lab.down(),
  }
}

/** The file behind a stick, on the host. */
export async function imageOf(bench: Bench, port: string): Promise<string> {
  const { devices } = await bench.lab.status()
  const image = devices.find((device) => device.port === port)?.image
  if (image == null) throw new Error(`no image at ${port}`)
  return image
}

/**
 * Lets the machine have slept, by what its two clocks say, while the work is done.
 * @param work gets what sets the seconds asleep since boot; 10 at its beginning
 */
export async function onSleeper(
  bench: Bench,
  work: (sleptFor: (seconds: number) => void) => Promise<void>,
): Promise<void> {
  const before = readFileSync(bench.lab.site, 'utf8')
  const uptimeFile = join(bench.lab.dir, 'dom0/uptime')
  const sleptFor = (seconds: number): void =>
    writeFileSync(uptimeFile, `${Number(process.hrtime.bigint()) / 1e9 + seconds} 0.00\n`)
  sleptFor(10)
  writeFileSync(bench.lab.site, JSON.stringify({ ...JSON.parse(before), uptimeFile }))
  try {
    await work(sleptFor)
  } finally {
    writeFileSync(bench.lab.site, before)
  }
}

/** What dom0 still has of a grant; empty when all is well. */
export function grants(bench: Bench): string[] {
  return readdirSync(join(bench.lab.dir, 'dom0/run/qubes/policy.d')).filter((name) => name.includes('qusb'))
}

/** Does the same with each, in their order, a few at a time: as many programs as there are steps hold up one another. */
export async function fewAtATime<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i] as T)
  }
  await Promise.all(Array.from({ length: 5 }, lane))
  return results
}

/** Waits for a condition, with a limit. */
export async function until(
  what: string | (() => string),
  holds: () => boolean | Promise<boolean>,
  ms = 45_000,
): Promise<void> {
  const deadline = Date.now() + ms
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never came true: ${typeof what === 'string' ? what : what()}`)
    await sleep(50)
  }
}

/** Has each attached by the library, a few at a time. */
export async function attachAll(
  bench: Bench,
  places: readonly { backend: string; port: string; frontend: string }[],
): Promise<void> {
  const { attach } = await library()
  await fewAtATime(places, async ({ backend, port, frontend }) => {
    const { changed } = await attach(`${backend}:${port}`, frontend, { site: bench.lab.site })
    expect(changed, `${backend}:${port}`).toBe(true)
  })
}

/** Both sides as before an attach, by their own files; the store and policy hold nothing of it. */
export async function expectClean(
  bench: Bench,
  port: string,
  frontend: string,
  backend = 'sys-usb',
): Promise<void> {
  expect(grants(bench), 'grants').toEqual([])
  const told = await bench.inQube(
    backend,
    `readlink "$QUSB_ROOT/sys/bus/usb/devices/${port}/driver"; qubesdb-multiread /qubes-usb-devices/`,
  )
  const [driver, ...published] = told.split('\n')
  expect(driver?.split('/').at(-1), `driver of ${port}`).toBe('usb')
  expect(published.join('\n'), 'connected-to').not.toMatch(
    new RegExp(`${port.replaceAll('.', '_')}/connected-to`),
  )
  const files = await bench.inQube(
    frontend,
    `ls "$QUSB_ROOT/var/run/qubes" | grep '${backend}-${port}.state' || true`,
  )
  expect(files, 'state files').toBe('')
  const state = await bench.device(port, backend)
  expect(state).toMatchObject({ state: 'free', attachedTo: null, drift: null })
}

/** How many ports of a frontend's virtual host are in use. */
export async function usedPorts(bench: Bench, frontend: string): Promise<number> {
  const table = await bench.inQube(frontend, 'cat "$QUSB_ROOT"/sys/devices/platform/vhci_hcd.0/status*')
  return table.split('\n').filter((line) => /^(hs|ss)/.test(line) && line.trim().split(/\s+/)[2] !== '004')
    .length
}
