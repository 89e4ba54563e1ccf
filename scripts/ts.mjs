// Runs a TypeScript file of this project: `node scripts/ts.mjs FILE [ARG…]`. Node 20 cannot by itself.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { texts } from './bundle/options.mjs'

const [file, ...args] = process.argv.slice(2)
const root = resolve(import.meta.dirname, '..')
const out = join(root, '.cache', `${file.replaceAll('/', '_')}.mjs`)
mkdirSync(join(root, '.cache'), { recursive: true })
await build({
  entryPoints: [resolve(file)],
  outfile: out,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  define: { __FAULT_POINTS__: 'false' },
  loader: texts,
  logLevel: 'warning',
  plugins: [
    {
      // What is JavaScript already is loaded from its own place, which it may ask for.
      name: 'as-it-is',
      setup: ({ onResolve }) =>
        onResolve({ filter: /^\..*\.mjs$/ }, ({ path, resolveDir }) => ({
          path: resolve(resolveDir, path),
          external: true,
        })),
    },
  ],
})
process.exitCode = spawnSync(process.execPath, [out, ...args], { stdio: 'inherit' }).status ?? 1
