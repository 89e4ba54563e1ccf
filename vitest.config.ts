import { readFileSync } from 'node:fs'
import { configDefaults, defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'
import { LONG, LongestFirst } from './test/longest-first.ts'

/** For `npm run check`: without what takes long. */
const short = process.env.QUSB_TESTS === 'short'

const long = [...LONG, 'test/**/kernel-*.test.ts']
const TEXTS = /\.(sh|rc|rules|path|service)$/
// Tests wait more than they work: for time limits, for kernels, for a second that a proxy takes.
const maxWorkers = 3

/** Some of the tests: whether each file has a process of its own, or several one after the other the same. */
function project(
  name: string,
  files: { include: string[]; exclude?: string[]; isolate: boolean },
): TestProjectInlineConfiguration {
  return {
    define: { __FAULT_POINTS__: 'false' },
    plugins: [
      {
        // The bundler imports scripts and what is installed as text; so do the tests.
        name: 'shell-text',
        enforce: 'pre',
        load: (id) =>
          TEXTS.test(id) ? `export default ${JSON.stringify(readFileSync(id, 'utf8'))}` : undefined,
      },
    ],
    test: {
      name,
      ...files,
      maxWorkers,
      // Built already.
      server: { deps: { external: [/\/dist\/library\.mjs$/] } },
      testTimeout: 60_000,
      hookTimeout: 60_000,
      // Where others share the two cores, a limit of the proxy or of a survey may strike that is no fault of ours; a real
      // fault fails three times.
      retry: process.env.CI ? 2 : 0,
    },
  }
}

export default defineConfig({
  test: {
    projects: [
      // Among these are some that change how others run.
      ...(short ? [] : [project('long', { include: long, isolate: true })]),
      // Half of the time of these would go into loading zod once a file.
      project('short', {
        include: ['test/**/*.test.ts'],
        exclude: [...configDefaults.exclude, ...long],
        isolate: false,
      }),
    ],
    globalSetup: ['test/global-setup.ts'],
    maxWorkers,
    sequence: { sequencer: LongestFirst },
  },
})
