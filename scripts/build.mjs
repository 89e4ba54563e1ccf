// Builds the bundles: the product, the lab, the product with fault points for the crash tests, and the library; then the
// code cache.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { declareLibrary, makeLibrary } from './bundle/library.mjs'
import { makeBundle } from './bundle/make.mjs'

const root = resolve(import.meta.dirname, '..')
const dist = join(root, 'dist')
// Built beside and moved into place: a qusb that runs meanwhile (a lab's, another terminal's) finds whole files.
const fresh = join(root, `.dist-${process.pid}`)

const bundles = [
  { entry: 'src/main.ts', outfile: join(fresh, 'qusb.cjs'), wrapped: true },
  { entry: 'src/main.ts', outfile: join(fresh, 'qusb-fault-points.cjs'), faultPoints: true, wrapped: true },
  { entry: 'src/lab/main.ts', outfile: join(fresh, 'lab.cjs') },
]
/** Those that are started often: the product, and its twin of the crash tests. */
const cached = ['qusb.cjs', 'qusb-fault-points.cjs']
const made = ['qusb.cjs', 'qusb-fault-points.cjs', 'lab.cjs', 'library.mjs', 'types']

try {
  mkdirSync(fresh)
  await Promise.all([...bundles.map(makeBundle), makeLibrary(join(fresh, 'library.mjs'))])
  declareLibrary(join(fresh, 'types'))
  mkdirSync(dist, { recursive: true })
  const caches = cached.flatMap((bundle) => [`${bundle}.cache`, `${bundle}.actions.cache`])
  for (const cache of caches) rmSync(join(dist, cache), { force: true })
  // A directory takes the place of an empty one only.
  rmSync(join(dist, 'types'), { recursive: true, force: true })
  for (const name of made) renameSync(join(fresh, name), join(dist, name))
  // Without it everything works, more slowly; but a build that cannot make it has a fault.
  for (const bundle of cached) {
    const made = spawnSync(process.execPath, [join(root, 'scripts/code-cache.cjs'), join(dist, bundle)], {
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: 60_000,
    })
    if (made.status !== 0) throw new Error(`no code cache of ${bundle} was made`)
  }
  const absent = caches.filter((cache) => !existsSync(join(dist, cache)))
  if (absent.length > 0) throw new Error(`not made: ${absent.join(', ')}`)
} finally {
  rmSync(fresh, { recursive: true, force: true })
}
