// Builds the bundles: the product, the lab, and the product with fault points for the crash tests.
import { mkdirSync, rmSync } from 'node:fs'
import { build } from 'esbuild'

const common = {
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  // oclif reaches for TypeScript only to run sources, which a bundle never does: 11 MB left out.
  external: ['typescript'],
  loader: { '.sh': 'text' },
  logLevel: 'warning',
  legalComments: 'none',
}

const bundles = [
  { entryPoints: ['src/main.ts'], outfile: 'dist/qusb.cjs', define: { __FAULT_POINTS__: 'false' } },
  { entryPoints: ['src/main.ts'], outfile: 'dist/qusb-fault-points.cjs', define: { __FAULT_POINTS__: 'true' } },
  { entryPoints: ['src/lab/main.ts'], outfile: 'dist/lab.cjs', define: { __FAULT_POINTS__: 'false' } },
]

rmSync('dist', { recursive: true, force: true })
mkdirSync('dist', { recursive: true })
await Promise.all(bundles.map((bundle) => build({ ...common, ...bundle })))
