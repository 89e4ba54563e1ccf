import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import type { PluggedDevice } from '../engine.ts'
import type { Layout } from '../layout.ts'
import type { World, WorldQube } from './world.ts'

/** How long a service may take that qubesd calls, milliseconds. */
const CALL_LIMIT = 60_000

/** What of a lab its qubesd is made from. */
export interface WorldParts {
  readonly layout: Layout
  readonly qubes: () => readonly WorldQube[]
  readonly devices: () => Promise<readonly PluggedDevice[]>
  readonly start: (name: string) => Promise<void>
  readonly stop: (name: string, how: 'halt' | 'kill') => Promise<void>
  readonly pause: (name: string, on: boolean) => Promise<void>
  readonly setService: (name: string, service: string, on: boolean) => void
  readonly permits: (source: string, qube: string, call: string) => boolean
  readonly log: (line: string) => void
}

/** A lab as its qubesd sees it: it calls services through the lab's qrexec-client, as dom0 does. */
export function createWorld({ layout, ...rest }: WorldParts): World {
  let grants = 0
  // A look into virtual machines takes its time: who asks while one is under way gets what that finds.
  let looking: Promise<readonly PluggedDevice[]> | null = null
  return {
    ...rest,
    devices() {
      looking ??= rest.devices().finally(() => {
        looking = null
      })
      return looking
    },
    async call(qube, service, input) {
      const command = `root:QUBESRPC ${service} dom0`
      const { exitCode, stderr } = await execa(layout.qrexecClient, ['-d', qube, command], {
        input,
        reject: false,
        timeout: CALL_LIMIT,
        killSignal: 'SIGKILL',
      })
      return { code: exitCode ?? 128, stderr: stderr.slice(0, 1000) }
    },
    allow(frontend, backend, port) {
      // Behind the users' own files, where 35-compat pulls in what the real one writes for a device.
      const file = join(layout.policyDirs[0], `35-qubesd-${process.pid}-${grants++}.policy`)
      writeFileSync(file, `qubes.USB +${port} ${frontend} ${backend} allow user=root\n`)
      return () => rmSync(file, { force: true })
    },
  }
}
