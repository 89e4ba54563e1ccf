// Makes dom0's package: `npm run package [-- DIRECTORY]` writes the RPM, its bill of materials and SHA256SUMS there, by
// default to dist/package. packaging/README.md tells how, and what goes where.
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { declareLibrary, makeLibrary } from './bundle/library.mjs'
import { makeBundle } from './bundle/make.mjs'
import { findBundled, findDirect } from './package/bundled.ts'
import { readOrigin } from './package/origin.ts'
import { writePapers } from './package/papers.ts'
import { stagePayload, writeFileList } from './package/payload.ts'
import { collectEntries } from './package/program.ts'
import { makeRpm } from './package/rpm.ts'
import { makeManifests } from './reference/commands.ts'

const root = process.cwd()
const out = resolve(process.argv[2] ?? 'dist/package')

async function makePackage(work: string): Promise<void> {
  const origin = readOrigin(root, process.env)
  if (origin.modified) console.error('The sources are not those of the commit: the release is "0.modified".')
  const [program, library, types] = ['qusb.cjs', 'library.mjs', 'types'].map((name) => join(work, name)) as [
    string,
    string,
    string,
  ]
  const metafiles = [
    await makeBundle({ entry: 'src/main.ts', outfile: program, wrapped: true }),
    await makeLibrary(library),
  ]
  declareLibrary(types)
  const bundled = findBundled(root, metafiles)
  const own = JSON.parse(readFileSync('package.json', 'utf8'))
  const papers = writePapers(own, origin, bundled, findDirect(metafiles, bundled))
  const { product: manifest } = await makeManifests(root)
  const entries = collectEntries(root, { program, library, types, manifest, papers })

  const stage = join(work, 'stage')
  stagePayload(stage, entries, origin.epoch)
  const files = join(work, 'files')
  writeFileSync(files, writeFileList(entries))
  const units = entries
    .map(({ path }) => path)
    .filter((path) => path.startsWith('/usr/lib/systemd/system/'))
    .map((path) => basename(path))
  const rpm = makeRpm(join(root, 'packaging/qusb.spec'), join(work, 'rpm'), {
    origin,
    stage,
    files,
    licence: papers.expression,
    units,
  })

  mkdirSync(out, { recursive: true })
  const made = [basename(rpm), basename(rpm).replace(/\.noarch\.rpm$/, '.cdx.json')] as const
  copyFileSync(rpm, join(out, made[0]))
  writeFileSync(join(out, made[1]), papers.bill)
  const sums = made.map((name) => `${sha256(join(out, name))}  ${name}\n`)
  writeFileSync(join(out, 'SHA256SUMS'), sums.join(''))
  process.stdout.write(sums.join(''))
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}

const work = mkdtempSync(join(tmpdir(), 'qusb-package-'))
try {
  await makePackage(work)
} catch (error) {
  console.error(`npm run package: ${(error as Error).message}`)
  process.exitCode = 1
} finally {
  rmSync(work, { recursive: true, force: true })
}
