// How the bundles are made: shared by the build and by whoever wants to measure one.
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { deferRequires } from './lazy-requires.mjs'

const here = (file) => resolve(import.meta.dirname, file)

const OCLIF = /@oclif\/core\/lib\/.*\.js$/

/** Changes in oclif's own files, by their end. */
const patches = {
  // oclif sorts its handful of commands by locale at every start, which loads ICU's collator: 5 ms.
  'lib/config/plugin.js': ['(a, b) => a.id.localeCompare(b.id)', '(a, b) => (a.id < b.id ? -1 : 1)'],
  // The width of the screen is for help only, and asking for it opens both streams.
  'lib/screen.js': [
    'exports.stdtermwidth = columns || termwidth(process.stdout);\nexports.errtermwidth = columns || termwidth(process.stderr);',
    `Object.defineProperties(exports, {
      stdtermwidth: { get: () => columns || termwidth(process.stdout) },
      errtermwidth: { get: () => columns || termwidth(process.stderr) },
    });`,
  ],
  // One small manifest is read: the promises of node:fs bring readline and watchers with them.
  'lib/util/fs.js': [
    "await (0, promises_1.readFile)(path, 'utf8')",
    'require("node:fs").readFileSync(path, \'utf8\')',
  ],
}

/**
 * Changes oclif's files where a start costs too much.
 * @throws Error when a file is no longer what a patch expects, or no longer there
 */
function patchOclif(build) {
  const left = new Set(Object.keys(patches))
  build.onLoad({ filter: OCLIF }, async ({ path }) => {
    let contents = await readFile(path, 'utf8')
    for (const [file, [from, to]] of Object.entries(patches)) {
      if (!path.endsWith(`/${file}`)) continue
      if (!contents.includes(from)) throw new Error(`${path} is no longer what scripts/bundle expects`)
      contents = contents.replace(from, to)
      left.delete(file)
    }
    return { contents: deferRequires(contents), loader: 'js' }
  })
  build.onEnd(() => {
    if (left.size > 0) throw new Error(`oclif has no ${[...left].join(', ')}, which scripts/bundle patches`)
  })
}

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
      [/^wsl-utils$/, 'no-wsl.cjs'],
      [/^(tinyglobby|minimatch|lilconfig|cli-spinners|wordwrap)$/, 'cold.cjs'],
    ]
    for (const [filter, file] of replaced) build.onResolve({ filter }, () => ({ path: here(file) }))

    patchOclif(build)
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
