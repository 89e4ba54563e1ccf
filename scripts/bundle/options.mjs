// How the bundles are made: shared by the build and by whoever wants to measure one.
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { deferRequires } from './lazy-requires.mjs'

const here = (file) => resolve(import.meta.dirname, file)

const PATCHED = /node_modules\/(@oclif\/core|execa)\/lib\/.*\.js$/

/** Changes in others' files: the end of a file's name, what stands there, and what takes its place. */
const patches = [
  // oclif sorts its handful of commands by locale at every start, which loads ICU's collator: 5 ms.
  [
    '@oclif/core/lib/config/plugin.js',
    '(a, b) => a.id.localeCompare(b.id)',
    '(a, b) => (a.id < b.id ? -1 : 1)',
  ],
  // Colours for its help from a file in the user's configuration, which qusb tells nobody of.
  ['@oclif/core/lib/config/config.js', 'this.theme = await this.loadTheme();', ''],
  // What node:os, which Node compiles anew each time, says no better than node:process.
  [
    '@oclif/core/lib/config/config.js',
    "this.arch = (0, node_os_1.arch)() === 'ia32' ? 'x86' : (0, node_os_1.arch)();",
    'this.arch = process.arch;',
  ],
  ['@oclif/core/lib/util/os.js', '(0, node_os_1.platform)()', 'process.platform'],
  // The width of the screen is for help only, and asking for it opens both streams.
  [
    '@oclif/core/lib/screen.js',
    'exports.stdtermwidth = columns || termwidth(process.stdout);\nexports.errtermwidth = columns || termwidth(process.stderr);',
    `Object.defineProperties(exports, {
      stdtermwidth: { get: () => columns || termwidth(process.stdout) },
      errtermwidth: { get: () => columns || termwidth(process.stderr) },
    });`,
  ],
  // An argument that is missing is asked for, or an error. oclif takes it from stdin where that is a pipe, which in a
  // script's loop is what the loop reads, and would let `echo 2-1 | qusb detach sys-usb` detach.
  ['@oclif/core/lib/parser/parse.js', 'if (arg.ignoreStdin || stdinRead)', 'if (true)'],
  // One small manifest is read: the promises of node:fs bring readline and watchers with them.
  [
    '@oclif/core/lib/util/fs.js',
    "await (0, promises_1.readFile)(path, 'utf8')",
    'require("node:fs").readFileSync(path, \'utf8\')',
  ],
  // The synchronous half of execa.
  [
    'execa/lib/methods/create.js',
    "import {execaCoreSync} from './main-sync.js';",
    "const execaCoreSync = () => { throw new Error('execaSync is not part of the bundle: see scripts/bundle') };",
  ],
  // Its log of commands, with colours, symbols and times, which nobody turns on.
  [
    'execa/lib/verbose/log.js',
    "import {defaultVerboseFunction} from './default.js';",
    'const defaultVerboseFunction = ({message}) => message;',
  ],
  [
    'execa/lib/verbose/complete.js',
    "import prettyMs from 'pretty-ms';",
    "const prettyMs = (ms) => ms + ' ms';",
  ],
  // What it escapes in a command for its messages, at each start of a process: Unicode's tables take a millisecond.
  [
    'execa/lib/arguments/escape.js',
    'const SPECIAL_CHAR_REGEXP = getSpecialCharRegExp();',
    'const SPECIAL_CHAR_REGEXP = /[^\\x20-\\x7e]/gu;',
  ],
  // A table of all signals by number, for who ends a process by a number.
  [
    'execa/lib/terminate/signal.js',
    'const signalsIntegerToName = getSignalsIntegerToName();',
    'const signalsIntegerToName = { has: (number) => getSignalsIntegerToName().has(number), get: (number) => getSignalsIntegerToName().get(number) };',
  ],
  // Whether there is a SIGTERM, which it asks node:os at each start of a process.
  [
    'execa/lib/terminate/signal.js',
    'if (signalName in constants.signals) {',
    "if (signalName === 'SIGTERM' || signalName in constants.signals) {",
  ],
  // It watches over a process for its promise, five listeners a stream: for one that is read by its events
  // (src/lib/host/call-program.ts) it makes none, and to wait for it is an error.
  [
    'execa/lib/methods/main-async.js',
    'const promise = handlePromise({',
    'const promise = options.cleanup === false && !options.buffer.includes(true) ? undefined : handlePromise({',
  ],
  // It opens all three standard streams to compare others with them, and stdin alone costs 3 ms.
  [
    'execa/lib/utils/standard-stream.js',
    `export const isStandardStream = stream => STANDARD_STREAMS.includes(stream);
export const STANDARD_STREAMS = [process.stdin, process.stdout, process.stderr];`,
    `export const STANDARD_STREAMS = {
  get 0() { return process.stdin },
  get 1() { return process.stdout },
  get 2() { return process.stderr },
  // Each of them has its descriptor's number, so one that is not open yet cannot be meant.
  indexOf: (stream) => ([0, 1, 2].includes(stream?.fd) && stream === STANDARD_STREAMS[stream.fd] ? stream.fd : -1),
};
export const isStandardStream = stream => STANDARD_STREAMS.indexOf(stream) !== -1;`,
  ],
]

/**
 * Changes oclif's and execa's files where a start costs too much.
 * @throws Error when a file is no longer what a patch expects, or no longer there
 */
function patchFiles(build) {
  const left = new Set(patches)
  build.onLoad({ filter: PATCHED }, async ({ path }) => {
    let contents = await readFile(path, 'utf8')
    for (const patch of patches) {
      const [file, from, to] = patch
      if (!path.endsWith(`/${file}`)) continue
      if (!contents.includes(from)) throw new Error(`${path} is no longer what scripts/bundle expects`)
      contents = contents.replace(from, to)
      left.delete(patch)
    }
    return { contents: path.includes('/@oclif/') ? deferRequires(contents) : contents, loader: 'js' }
  })
  build.onEnd(() => {
    if (left.size > 0)
      throw new Error(
        `scripts/bundle patches ${[...left].map(([file]) => file).join(', ')}: no such file is bundled`,
      )
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
      [/^execa$/, 'execa.mjs'],
      [/^human-signals$/, 'no-human-signals.mjs'],
      [/^wsl-utils$/, 'no-wsl.cjs'],
      [/^(tinyglobby|minimatch|lilconfig|cli-spinners|wordwrap)$/, 'cold.cjs'],
    ]
    for (const [filter, file] of replaced) build.onResolve({ filter }, () => ({ path: here(file) }))

    patchFiles(build)
  },
}

/** What is imported as text: scripts that run in qubes, and what is installed. */
export const texts = Object.fromEntries(
  ['.sh', '.rc', '.rules', '.path', '.service'].map((extension) => [extension, 'text']),
)

/** @type {import('esbuild').BuildOptions} */
export const common = {
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  // oclif reaches for TypeScript only to run sources, which a bundle never does: 11 MB left out.
  external: ['typescript'],
  loader: texts,
  plugins: [lean],
  absWorkingDir: join(import.meta.dirname, '../..'),
  // The names of files stand in the bundle: the same ones wherever node_modules really is.
  preserveSymlinks: true,
  logLevel: 'warning',
  legalComments: 'none',
}
