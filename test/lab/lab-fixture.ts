import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type RunningLab, startLab } from '../../src/lab/client.ts'
import type { LabFileText } from '../../src/lab/file/schema.ts'
import { openLabsDirectory } from '../../src/lab/place.ts'

/** The built lab, which tests run as users do. */
export const LAB_BUNDLE = process.env.QUSB_LAB_BUNDLE ?? resolve('dist/lab.cjs')

export interface LabOfTest {
  readonly lab: RunningLab
  readonly env: NodeJS.ProcessEnv
  /** Ends the lab and removes its directory. */
  close(): Promise<void>
}

/** A lab of one's own in a temporary directory; it ends by itself should the test be killed. */
export async function openLabOfTest(
  file: LabFileText | null = null,
  engine: 'process' | 'kernel' = 'process',
): Promise<LabOfTest> {
  const home = mkdtempSync(join(openLabsDirectory(process.env), 'test-'))
  const env = { ...process.env, QUSB_LAB_DIR: home }
  try {
    const lab = await startLab({ file, engine, bundle: LAB_BUNDLE, env, lifetime: 1200 })
    return {
      lab,
      env,
      async close() {
        await lab.down()
        rmSync(home, { recursive: true, force: true })
      },
    }
  } catch (error) {
    rmSync(home, { recursive: true, force: true })
    throw error
  }
}

/** Puts a grant into the lab's policy, as qusb does; returns its file. */
export function grant(lab: RunningLab, frontend: string, port: string, backend = 'sys-usb'): string {
  const file = join(lab.dir, 'dom0/run/qubes/policy.d', `34-qusb-${frontend.toLowerCase()}.policy`)
  writeFileSync(file, `qubes.USB +${port} ${frontend} ${backend} allow user=root autostart=no\n`)
  return file
}

/** The bare attach with a grant that stays. */
export function attach(lab: RunningLab, port: string, frontend: string, backend = 'sys-usb') {
  grant(lab, frontend, port, backend)
  return lab.call(frontend, 'root:QUBESRPC qubes.USBAttach dom0', `${backend} ${port}\n`)
}

export const detachFrontend = (lab: RunningLab, port: string, frontend: string, backend = 'sys-usb') =>
  lab.call(frontend, 'root:QUBESRPC qubes.USBDetach dom0', `${backend} ${port}\n`)

export const detachBackend = (lab: RunningLab, port: string) =>
  lab.call('sys-usb', 'root:QUBESRPC qubes.USBDetach dom0', `${port}\n`)

/** A script in a qube; its stdout without the last newline. Throws when it fails. */
export async function inQube(lab: RunningLab, qube: string, script: string): Promise<string> {
  const { code, stdout, stderr } = await lab.exec(qube, ['sh', '-c', script])
  if (code !== 0) throw new Error(`${script} in ${qube}: exit ${code}: ${stderr}`)
  return stdout.toString('utf8').replace(/\n$/, '')
}

/** Waits for something to become true; fails after the limit (milliseconds) with what was seen last. */
export async function eventually<T>(
  look: () => T | Promise<T>,
  isDone: (seen: T) => boolean,
  limit = 20_000,
): Promise<T> {
  const end = Date.now() + limit
  for (;;) {
    const seen = await look()
    if (isDone(seen)) return seen
    if (Date.now() > end) throw new Error(`not within ${limit} ms; last seen: ${JSON.stringify(seen)}`)
    await wait(20)
  }
}
