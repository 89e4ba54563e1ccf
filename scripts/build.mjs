// Builds the bundles: the product, the lab, and the product with fault points for the crash tests; then the code cache.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { common } from './bundle/options.mjs'

const root = resolve(import.meta.dirname, '..')
const dist = join(root, 'dist')
// Built beside and moved into place: a qusb that runs meanwhile (a lab's, another terminal's) finds whole files.
const fresh = join(root, `.dist-${process.pid}`)

const bundles = [
  { entryPoints: ['src/main.ts'], outfile: 'qusb.cjs', define: { __FAULT_POINTS__: 'false' } },
  { entryPoints: ['src/main.ts'], outfile: 'qusb-fault-points.cjs', define: { __FAULT_POINTS__: 'true' } },
  { entryPoints: ['src/lab/main.ts'], outfile: 'lab.cjs', define: { __FAULT_POINTS__: 'false' } },
]

try {
  mkdirSync(fresh)
  await Promise.all(
    bundles.map((bundle) => build({ ...common, ...bundle, outfile: join(fresh, bundle.outfile) })),
  )
  for (const { outfile } of bundles) writeInAscii(join(fresh, outfile))
  mkdirSync(dist, { recursive: true })
  rmSync(join(dist, 'qusb.cjs.cache'), { force: true })
  for (const { outfile } of bundles) renameSync(join(fresh, outfile), join(dist, outfile))
  const cache = spawnSync(process.execPath, [join(root, 'scripts/code-cache.cjs'), join(dist, 'qusb.cjs')], {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: 60_000,
  })
  // Without it everything works, more slowly; but a build that cannot make it has a fault.
  if (cache.status !== 0 || !existsSync(join(dist, 'qusb.cjs.cache')))
    throw new Error('no code cache was made')
} finally {
  rmSync(fresh, { recursive: true, force: true })
}

/**
 * Escapes what esbuild left: letters in comments and regular expressions. One beyond Latin-1 would make the whole text
 * two bytes a character, and V8 reads it at every start; bin/qusb.cjs counts on ASCII.
 */
function writeInAscii(file) {
  const code = readFileSync(file, 'utf8')
  const spell = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  writeFileSync(file, code.replace(/[^\0-\x7f]/g, spell))
}
