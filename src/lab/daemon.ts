import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import * as z from 'zod/mini'
import { errorToJson } from '../lib/errors.ts'
import { listenForRequests, type Request } from './control.ts'
import { type LabFile, labFileSchema } from './file/schema.ts'
import { createKernelEngine } from './kernel/engine.ts'
import { Lab } from './lab.ts'
import { createProcessEngine } from './process/engine.ts'

/** How often the lab looks whether its directory is still there, milliseconds. */
const DIRECTORY_ROUND = 500

/** What the lab's process is started with. */
export const daemonOptionsSchema = z.strictObject({
  name: z.string(),
  dir: z.string(),
  engine: z.enum(['process', 'kernel']),
  /** Seconds after which it ends by itself; null: only when told to. */
  lifetime: z.nullable(z.number().check(z.positive())),
  file: labFileSchema,
})
export interface DaemonOptions {
  readonly name: string
  readonly dir: string
  readonly engine: 'process' | 'kernel'
  readonly lifetime: number | null
  readonly file: LabFile
}

/**
 * The lab's process: brings the lab up, says `ready` or what is wrong as one JSON line on stdout, and serves it
 * until `down`, a signal, its lifetime, or the loss of its directory.
 * @param settings a file with DaemonOptions as JSON
 */
export async function runDaemon(settings: string): Promise<void> {
  const options = daemonOptionsSchema.parse(JSON.parse(readFileSync(settings, 'utf8')))
  process.chdir(options.dir)
  const inode = statSync('.').ino
  const create = options.engine === 'kernel' ? createKernelEngine : createProcessEngine
  const lab = new Lab(options.name, options.dir, options.file, create)

  let ending: Promise<void> | null = null
  const end = (): Promise<void> => {
    ending ??= (async () => {
      await lab.close().catch((error: Error) => tell(lab, `closing: ${error.stack}`))
      if (statSync(options.dir, { throwIfNoEntry: false })?.ino === inode) {
        rmSync(options.dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
      }
    })()
    return ending
  }
  const endAndExit = () => void end().finally(() => process.exit(0))
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, endAndExit)
  process.on('uncaughtException', (error) => {
    tell(lab, `fault of the lab: ${error.stack}`)
    void end().finally(() => process.exit(1))
  })
  setInterval(() => {
    if (statSync(options.dir, { throwIfNoEntry: false })?.ino !== inode) endAndExit()
  }, DIRECTORY_ROUND)

  try {
    writeFileSync(
      lab.layout.record,
      `${JSON.stringify({ schema: 1, name: options.name, engine: options.engine, pid: process.pid })}\n`,
    )
    await lab.open()
    const server = listenForRequests('control', (request) => answer(lab, request, end))
    await new Promise<void>((resolve, reject) => server.once('listening', resolve).once('error', reject))
    process.stdout.write('{"ready":true}\n')
    if (options.lifetime !== null) setTimeout(endAndExit, options.lifetime * 1000)
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ ready: false, ...errorToJson(error) })}\n`)
    endAndExit()
  }
}

async function answer(lab: Lab, request: Request, end: () => Promise<void>): Promise<unknown> {
  switch (request.verb) {
    case 'status':
      return lab.status()
    case 'plug':
      return lab.plug(request.device)
    case 'unplug':
      return lab.unplug(request.backend, request.port)
    case 'fault':
      return lab.fault(request.fault)
    case 'exec':
      return lab.exec(request.qube, request.argv)
    case 'down':
      await end()
      // The answer goes out first.
      setTimeout(() => process.exit(0), 20)
  }
}

function tell(lab: Lab, line: string): void {
  try {
    lab.log(line)
  } catch {
    // The directory is gone, and with it the place to say so.
  }
}
