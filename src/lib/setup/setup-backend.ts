import { QusbError } from '../errors.ts'
import type { QubeName } from '../model/names.ts'
import type { Context } from '../passthrough/context.ts'
import type { SetupResult } from '../passthrough/results.ts'
import {
  activate,
  type Inspection,
  inspectFiles,
  installFiles,
  isThere,
  type QubeFile,
  sha256,
} from '../qubes/installed-files.ts'
import { inspectDirectory, makeDirectory } from '../site/owned-path.ts'
import { carryOut, type Owner, type SetupStep } from '../site/setup.ts'
import {
  formatManifest,
  type InstalledFile,
  type Manifest,
  manifestFileOf,
  readManifest,
  withBackend,
} from '../site/setup-manifest.ts'
import { planFile, planPieces } from '../site/setup-pieces.ts'
import { keptFiles, runningFiles, SWITCH } from './pieces.ts'
import { findPlacement, isHalted, type Placement, whileRunning } from './placement.ts'

export interface SetupBackendRequest {
  backend: QubeName
  /** The qube whose disk is to keep it, where the user says so. */
  keeper: QubeName | undefined
  dryRun: boolean
  owner: Owner
}

/** A file, and what it takes. */
interface FileStep {
  file: QubeFile
  action: 'made' | 'changed' | 'unchanged'
}

/**
 * Installs in a USB qube what tells dom0 that a device came or went, so that it lasts, and lets it count at once. What is
 * there already is left alone: twice is once. In dom0 the policy then lets this qube say so.
 * @throws QusbError REFUSED for a file that is not ours, or was changed
 */
export async function setUpBackend(context: Context, request: SetupBackendRequest): Promise<SetupResult> {
  const { backend, dryRun, owner } = request
  const { site } = context
  const placement = await findPlacement(context, backend, request.keeper)
  const { kind, keeper } = placement
  const manifest = readManifest(site)
  const files = keptFiles(kind, backend)
  const after = withBackend(
    manifest,
    backend,
    files.map((file) => record(keeper, file)),
  )
  const inDom0 = [...planManifest(context, owner, after), ...planPieces(site, owner, after)]
  const keeperHalted = await isHalted(context, keeper)
  if (keeper === backend && keeperHalted) {
    throw new QusbError('NOT_RUNNING', `${backend} is halted`, { hint: `Start it: qvm-start ${backend}` })
  }
  if (dryRun) {
    // A qube that is halted is not started for a look.
    const steps = keeperHalted
      ? files.map((file): FileStep => ({ file, action: 'made' }))
      : await inspect(context, placement, files, manifest)
    return dryResult(placement, steps, inDom0)
  }

  context.progress(`looking into ${keeper}`)
  let changed = false
  const steps = await whileRunning(context, keeper, async () => {
    const wanted = await inspect(context, placement, files, manifest)
    const open = wanted.filter(({ action }) => action !== 'unchanged').map(({ file }) => file)
    // Before anything is in a qube: the manifest must know of it, and the first hint is to be let through.
    carryOut(inDom0)
    if (open.length > 0) {
      context.progress(`installing in ${keeper}`)
      await installFiles(site, keeper, open)
      changed = true
    }
    return wanted
  })
  if (await bringToLife(context, placement, files, changed)) changed = true
  const openInDom0 = inDom0.filter(({ action }) => action !== 'unchanged')
  return {
    schema: 1,
    changed: changed || openInDom0.length > 0,
    done: [
      ...steps.map(({ file, action }) => ({ path: `${keeper}:${file.path}`, action, what: wordsFor(file) })),
      ...inDom0.map(({ path, action, what }) => ({ path, action, what })),
    ],
  }
}

function record(qube: QubeName, file: QubeFile): InstalledFile {
  return { qube, path: file.path, sha256: 'target' in file ? 'link' : sha256(file.content) }
}

/** What is to be done with each file. @throws QusbError REFUSED */
async function inspect(
  { site }: Context,
  { kind, keeper }: Placement,
  files: readonly QubeFile[],
  manifest: Manifest,
): Promise<FileStep[]> {
  const seen = await inspectFiles(
    site,
    keeper,
    files.map(({ path }) => path),
  )
  if (kind === 'private') requireRcLocal(keeper, seen)
  const ours = manifest.backends.flatMap((each) => each.files).filter((file) => file.qube === keeper)
  return files.map((file): FileStep => {
    const found = seen.found.get(file.path)
    if (isThere(file, found)) return { file, action: 'unchanged' }
    if (found === undefined || found.kind === 'none') return { file, action: 'made' }
    const isOurs = ours.some(
      ({ path, sha256: sum }) => path === file.path && found.kind === 'file' && found.sha256 === sum,
    )
    if (isOurs) return { file, action: 'changed' }
    throw new QusbError('REFUSED', `${keeper} has ${file.path}, and it is not what qusb installed`, {
      hint: `Look at it, move it away, and run this again.`,
    })
  })
}

/** Nothing of /rw/config runs where the user chose what persists. @throws QusbError REFUSED */
function requireRcLocal(qube: QubeName, { customPersist }: Inspection): void {
  if (!customPersist) return
  throw new QusbError(
    'REFUSED',
    `${qube} has custom-persist on: what is in its /rw/config does not run at its start`,
    {
      hint: `Install in its template: qusb setup backend ${qube} --in TEMPLATE`,
    },
  )
}

/**
 * Lets what is installed count in the USB qube that runs now. @returns whether something was to be done
 */
async function bringToLife(
  context: Context,
  { backend, kind, keeper }: Placement,
  files: readonly QubeFile[],
  changed: boolean,
): Promise<boolean> {
  const { site } = context
  if (kind === 'system') await switchOn(context, backend)
  if (await isHalted(context, backend)) return false
  const running = runningFiles()
  const paths = [...running.map(({ path }) => path), ...files.map(({ path }) => path), SWITCH]
  const seen = await inspectFiles(site, backend, paths)
  if (kind !== 'system') requireRcLocal(backend, seen)
  const areThere = (wanted: readonly QubeFile[]): boolean =>
    wanted.every((file) => isThere(file, seen.found.get(file.path)))
  // A start brings them from the template, and the switch with them.
  const fromTemplate = kind === 'system' && areThere(files) && seen.found.get(SWITCH)?.kind === 'file'
  if ((areThere(running) || fromTemplate) && !changed) return false
  context.progress(`starting it in ${backend}`)
  // A standalone has them in /etc already, and what is there comes before /run.
  if (kind === 'system') await installFiles(site, backend, running)
  // Nothing is copied out of the USB qube: it gets what its disposable template got.
  if (kind === 'disposable' && keeper !== backend) await installFiles(site, backend, files)
  await activate(site, backend, kind === 'system' ? 'units' : 'loader')
  return true
}

/** `qvm-service BACKEND qusb on`, by qubesd. */
async function switchOn({ site, signal, directory }: Context, backend: QubeName): Promise<void> {
  if (!(await directory.answers())) {
    throw new QusbError(
      'NOT_RUNNING',
      `without qubesd the service qusb of ${backend} cannot be switched on`,
      {
        hint: 'See: systemctl status qubesd',
      },
    )
  }
  const { setService } = await import('../qubes/admin/ask.ts')
  await setService({ site, signal }, backend, 'qusb', true)
}

/** The manifest first: what is not in it could not be taken out again. */
export function planManifest({ site }: Context, owner: Owner, manifest: Manifest): SetupStep[] {
  const { setupDir } = site
  return [
    {
      path: setupDir,
      action: inspectDirectory(setupDir, 0o755, owner),
      what: `755 ${owner.user}:${owner.group}`,
      do: () => makeDirectory(setupDir, 0o755, owner),
    },
    planFile(manifestFileOf(site), formatManifest(manifest), 'what is installed where', owner),
  ]
}

function wordsFor(file: QubeFile): string {
  return 'target' in file ? `link to ${file.target}` : file.mode
}

function dryResult(
  { keeper }: Placement,
  steps: readonly FileStep[],
  inDom0: readonly SetupStep[],
): SetupResult {
  const verb = (action: SetupStep['action']): string => (action === 'made' ? 'make' : 'change')
  const open = steps.filter(({ action }) => action !== 'unchanged')
  return {
    schema: 1,
    changed: false,
    done: [],
    plan: [
      ...open.map(({ file, action }) => ({
        step: verb(action),
        what: `${keeper}:${file.path}  ${wordsFor(file)}`,
      })),
      ...inDom0
        .filter(({ action }) => action !== 'unchanged')
        .map(({ path, action, what }) => ({ step: verb(action), what: `${path}  ${what}` })),
    ],
    files: steps.map(({ file }) => ({
      qube: keeper,
      path: file.path,
      content: 'target' in file ? null : file.content,
      target: 'target' in file ? file.target : null,
      mode: 'target' in file ? null : file.mode,
    })),
  }
}
