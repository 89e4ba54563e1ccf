import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type RunningLab, startLab } from '../src/lab/client.ts'
import type { LabFileText } from '../src/lab/file/schema.ts'
import { makeMarker, renderProbe } from '../src/lib/qubes/survey.ts'
import { type Site, siteFrom } from '../src/lib/site/site.ts'

/** The built program, and files of ours that are run as they are. */
export const PROGRAM = resolve('bin/qusb.cjs')
export const FLOOR = resolve('bench/floor.cjs')
export const BARE_CALLS = resolve('bench/bare-calls.cjs')
export const BARE_PASSTHROUGH = resolve('bench/bare-passthrough.cjs')

export interface BenchLab {
  lab: RunningLab
  site: Site
  env: NodeJS.ProcessEnv
  /** Goes with the lab. */
  directory: string
  /** The probe as files, for the bare calls. */
  probes: { backend: string; frontend: string }
}

/** Brings up a lab, does the work, and takes the lab down. */
export async function withLab(
  file: LabFileText | null,
  work: (bench: BenchLab) => Promise<void>,
  engine: 'process' | 'kernel' = 'process',
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'qusb-bench-'))
  const lab = await startLab({
    file,
    engine,
    name: `bench-${process.pid}`,
    bundle: resolve('dist/lab.cjs'),
    lifetime: 1800,
  })
  try {
    const probes = { backend: join(directory, 'backend'), frontend: join(directory, 'frontend') }
    writeFileSync(probes.backend, renderProbe(makeMarker(), false))
    writeFileSync(probes.frontend, renderProbe(makeMarker(), true))
    const site = siteFrom(JSON.parse(readFileSync(lab.site, 'utf8')))
    await work({ lab, site, env: { QUSB_SITE: lab.site }, directory, probes })
  } finally {
    await lab.down()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** A lab with many backends, each with as many devices. */
export function manyBackends(backends: number, devices: number): LabFileText {
  const names = Array.from({ length: backends }, (_, i) => `sys-usb-${i + 1}`)
  return {
    qubes: [...names.map((name) => ({ name, backend: true })), { name: 'work' }],
    devices: names.flatMap((backend) =>
      Array.from({ length: devices }, (_, i) => ({
        backend,
        kind: 'webcam',
        // Ten on each hub.
        port: `1-${Math.floor(i / 10) + 1}.${(i % 10) + 1}`,
        serial: `${backend}-${i}`,
      })),
    ),
  }
}
