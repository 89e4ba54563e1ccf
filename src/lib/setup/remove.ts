import { lstatSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { QusbError } from '../errors.ts'
import type { QubeName } from '../model/names.ts'
import type { Context } from '../passthrough/context.ts'
import type { SetupResult } from '../passthrough/results.ts'
import { inspectFiles, removeFiles, sha256 } from '../qubes/installed-files.ts'
import { carryOut, type Owner, tmpfilesContent } from '../site/setup.ts'
import { type InstalledFile, type Manifest, readManifest, withBackend } from '../site/setup-manifest.ts'
import { dom0Pieces, planPolicy } from '../site/setup-pieces.ts'
import { runningFiles } from './pieces.ts'
import { isHalted, whileRunning } from './placement.ts'
import { planManifest } from './setup-backend.ts'

type Done = SetupResult['done'][number]

export interface RemoveRequest {
  /** Empty: everything that setup has installed, in dom0 too. */
  backends: readonly QubeName[]
  dryRun: boolean
  owner: Owner
}

/**
 * Takes out what `qusb setup` has put in, as far as it is still what was put in. What was changed is left, named, and
 * the user's from then on. State, rules and configuration stay.
 * @throws QusbError
 */
export async function removeSetup(context: Context, request: RemoveRequest): Promise<SetupResult> {
  const { dryRun, owner } = request
  let manifest = readManifest(context.site)
  const known = manifest.backends.map(({ backend }) => backend)
  const unknown = request.backends.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw new QusbError('NOT_FOUND', `nothing is installed for ${unknown}`, {
      hint: known.length === 0 ? 'No USB qube is set up.' : `Set up are ${known.join(', ')}.`,
    })
  }
  const done: Done[] = []
  for (const backend of request.backends.length > 0 ? request.backends : known) {
    done.push(...(await removeBackend(context, manifest, backend, dryRun)))
    manifest = withBackend(manifest, backend, [])
    // One by one: what is out is out, whatever becomes of the next.
    if (!dryRun)
      carryOut([...planManifest(context, owner, manifest), planPolicy(context.site, owner, manifest)])
  }
  if (request.backends.length === 0) done.push(...removeFromDom0(context, owner, dryRun))
  const changed = !dryRun && done.some(({ action }) => action === 'removed')
  if (!dryRun) return { schema: 1, changed, done }
  const plan = done.map(({ path, action, what }) => ({
    step: action === 'removed' ? 'remove' : 'leave',
    what: `${path}  ${what}`,
  }))
  return { schema: 1, changed: false, done: [], plan }
}

async function removeBackend(
  context: Context,
  manifest: Manifest,
  backend: QubeName,
  dryRun: boolean,
): Promise<Done[]> {
  const files = manifest.backends.find((each) => each.backend === backend)?.files ?? []
  const done: Done[] = []
  for (const qube of new Set([...files.map((file) => file.qube), backend])) {
    const mine = files.filter((file) => file.qube === qube)
    if (dryRun && (await isHalted(context, qube))) {
      done.push(
        ...mine.map(({ path }) => ({
          path: `${qube}:${path}`,
          action: 'removed' as const,
          what: 'if unchanged',
        })),
      )
      continue
    }
    if (mine.length === 0 && (await isHalted(context, qube))) continue
    done.push(
      ...(await whileRunning(
        context,
        qube,
        async () => await removeFrom(context, qube, mine, files, dryRun),
      )),
    )
  }
  if (!dryRun && files.some(({ path }) => path.startsWith('/etc/'))) await switchOff(context, backend)
  return done
}

/** Takes out what lasts in this qube, and the copies that a running USB qube has of it. */
async function removeFrom(
  { site }: Context,
  qube: QubeName,
  mine: readonly InstalledFile[],
  all: readonly InstalledFile[],
  dryRun: boolean,
): Promise<Done[]> {
  const seen = await inspectFiles(
    site,
    qube,
    mine.map(({ path }) => path),
  )
  const done = mine.map(({ path, sha256: sum }): Done => {
    const found = seen.found.get(path)
    const at = `${qube}:${path}`
    if (found === undefined || found.kind === 'none')
      return { path: at, action: 'unchanged', what: 'was gone' }
    const same = sum === 'link' ? found.kind === 'link' : found.kind === 'file' && found.sha256 === sum
    return same
      ? { path: at, action: 'removed', what: '' }
      : { path: at, action: 'left', what: 'was changed since: it is yours' }
  })
  if (!dryRun) {
    const copies = runningFiles().flatMap((file) =>
      'target' in file ? [] : [{ path: file.path, sha256: sha256(file.content) }],
    )
    // A disposable has its template's files in its own /rw.
    const own = mine.length > 0 ? mine : all.filter(({ path }) => path.startsWith('/rw/'))
    await removeFiles(site, qube, [...own, ...copies])
  }
  return done
}

async function switchOff({ site, signal, directory }: Context, backend: QubeName): Promise<void> {
  if (!(await directory.answers())) return
  const { setService } = await import('../qubes/admin/ask.ts')
  await setService({ site, signal }, backend, 'qusb', false)
}

/** The unit, the service, its policy, the runtime directory's maker. */
function removeFromDom0({ site }: Context, owner: Owner, dryRun: boolean): Done[] {
  const tmpfiles = { path: join(site.tmpfilesDir, 'qusb.conf'), content: tmpfilesContent(site.runDir, owner) }
  return [...dom0Pieces(site), tmpfiles].flatMap((piece): Done[] => {
    const stat = lstatSync(piece.path, { throwIfNoEntry: false })
    if (stat === undefined) return []
    const same =
      'target' in piece
        ? stat.isSymbolicLink() && readlinkSync(piece.path) === piece.target
        : stat.isFile() && readFileSync(piece.path, 'utf8') === piece.content
    if (!same) return [{ path: piece.path, action: 'left', what: 'was changed since: it is yours' }]
    if (!dryRun) rmSync(piece.path)
    return [{ path: piece.path, action: 'removed', what: '' }]
  })
}
