import { readFileSync } from 'node:fs'
import { configDefaults, defineConfig } from 'vitest/config'
import { LONG, LongestFirst } from './test/longest-first.ts'

/** For `npm run check`: without what takes long. */
const short = process.env.QUSB_TESTS === 'short'

const TEXTS = /\.(sh|rc|rules|path|service)$/

export default defineConfig({
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
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(short ? [...LONG, 'test/**/kernel-*.test.ts'] : [])],
    globalSetup: ['test/global-setup.ts'],
    // Half of the short run would go into loading zod once a file. Among all tests are some that change how others run.
    isolate: !short,
    // Tests wait more than they work: for time limits, for kernels, for a second that a proxy takes.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Where others share the two cores, a limit of the proxy or of a survey may strike that is no fault of ours; a real
    // fault fails three times.
    retry: process.env.CI ? 2 : 0,
  },
})
