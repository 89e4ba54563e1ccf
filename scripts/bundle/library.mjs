// Makes the library, `import { attach } from 'qusb'`: one ES module with all it needs, and its types.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import { common } from './options.mjs'

/** What the types that users meet are written in; none of them imports anything else. */
const TYPES = ['index.d.ts', 'lib/errors.d.ts', 'library/results.d.ts']

/**
 * Bundles the library.
 * @param {string} outfile the module
 * @returns {Promise<import('esbuild').Metafile>} what is in it
 */
export async function makeLibrary(outfile) {
  const { metafile } = await build({
    ...common,
    // The patches are of what only commands load.
    plugins: [],
    format: 'esm',
    entryPoints: ['src/index.ts'],
    outfile,
    define: { __FAULT_POINTS__: 'false' },
    // Some of what it brings requires Node's own modules.
    banner: {
      js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
    },
    metafile: true,
  })
  return metafile
}

/**
 * Writes the library's declarations.
 * @param {string} directory receives index.d.ts and what it imports
 */
export function declareLibrary(directory) {
  const root = common.absWorkingDir
  const all = `${directory}.all`
  try {
    const tsc = spawnSync(
      process.execPath,
      [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.library.json', '--outDir', all],
      { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
    )
    if (tsc.status !== 0) throw new Error('the declarations of the library could not be made')
    for (const file of TYPES) {
      mkdirSync(dirname(join(directory, file)), { recursive: true })
      copyFileSync(join(all, file), join(directory, file))
    }
  } finally {
    rmSync(all, { recursive: true, force: true })
  }
}
