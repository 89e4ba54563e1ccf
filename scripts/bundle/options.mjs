// How the bundles are made: shared by the build and by whoever wants to measure one.
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

const here = (file) => resolve(import.meta.dirname, file)

const patches = [
  {
    // oclif sorts its handful of commands by locale at every start, which loads ICU's collator: 5 ms.
    file: /@oclif\/core\/lib\/config\/plugin\.js$/,
    from: '(a, b) => a.id.localeCompare(b.id)',
    to: '(a, b) => (a.id < b.id ? -1 : 1)',
  },
  {
    // Loaded for marks that are only made in oclif's own debugging; the globals are the same, and load when used.
    file: /@oclif\/core\/lib\/performance\.js$/,
    from: 'require("node:perf_hooks")',
    to: 'globalThis',
  },
  {
    // Loaded for flags that read stdin, which qusb has none of.
    file: /@oclif\/core\/lib\/parser\/parse\.js$/,
    from: 'const node_readline_1 = require("node:readline");',
    to: 'const node_readline_1 = { get createInterface() { return require("node:readline").createInterface } };',
  },
]

/** @type {import('esbuild').Plugin} */
const lean = {
  name: 'lean',
  setup(build) {
    const replaced = [
      [/^string-width$/, 'string-width.cjs'],
      [/^@inquirer\/editor$/, 'no-editor.mjs'],
      [/^@colors\/colors\/safe$/, 'no-colours.cjs'],
      [/^debug$/, 'no-debug.cjs'],
      [/^human-signals$/, 'no-human-signals.mjs'],
      [/^(tinyglobby|minimatch|lilconfig|cli-spinners|wordwrap)$/, 'cold.cjs'],
    ]
    for (const [filter, file] of replaced) build.onResolve({ filter }, () => ({ path: here(file) }))

    for (const { file, from, to } of patches) {
      build.onLoad({ filter: file }, async ({ path }) => {
        const content = await readFile(path, 'utf8')
        if (!content.includes(from)) throw new Error(`${path} is no longer what scripts/bundle expects`)
        return { contents: content.replace(from, to), loader: 'js' }
      })
    }
  },
}

/** @type {import('esbuild').BuildOptions} */
export const common = {
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  // oclif reaches for TypeScript only to run sources, which a bundle never does: 11 MB left out.
  external: ['typescript'],
  loader: { '.sh': 'text' },
  plugins: [lean],
  absWorkingDir: join(import.meta.dirname, '../..'),
  logLevel: 'warning',
  legalComments: 'none',
}
