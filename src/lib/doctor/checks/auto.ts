import { readFileSync, readlinkSync } from 'node:fs'
import { isWatcherThere } from '../../host/hint-socket.ts'
import type { QubeName } from '../../model/names.ts'
import { inspectFiles } from '../../qubes/installed-files.ts'
import { loadRules } from '../../rules/load.ts'
import { type InstalledFile, readManifest } from '../../site/setup-manifest.ts'
import { dom0Pieces } from '../../site/setup-pieces.ts'
import { type Check, type Examination, type Finding, orWell, warn, well } from '../check.ts'

export const watcherCheck: Check = {
  id: 'watcher',
  title: 'attach by rule',
  about: 'Whether there are rules that attach, and nothing that applies them.',
  run: async ({ context: { site, user }, management }) => {
    if (await isWatcherThere(site)) return [well('a watcher runs')]
    const loaded = loadRules(site)
    const attaching = 'rules' in loaded ? loaded.rules.filter(({ action }) => action !== 'deny').length : 0
    if (attaching === 0) return [well('no rule attaches anything, and no watcher runs')]
    return [
      warn(
        `${attaching} ${attaching === 1 ? 'rule attaches' : 'rules attach'} devices, and no watcher runs to do it`,
        {
          fix: `${management ? '' : `sudo systemctl enable --now qusb-watch@${user}, or for now: `}qusb watch --auto`,
        },
      ),
    ]
  },
}

/** What lets a USB qube say that a device came: all of it must still be what was installed. */
export const hintsCheck: Check = {
  id: 'hints',
  only: 'dom0',
  title: 'hints of USB qubes',
  about:
    'Whether what was installed in dom0 and in a USB qube, so that it tells of devices at once, is still so.',
  run: async (examination) => {
    const { site } = examination.context
    const { backends } = readManifest(site)
    if (backends.length === 0) return [well('no USB qube is set up to give them')]
    const names = backends.map(({ backend }) => backend)
    const pieces = dom0Pieces(site, names)
    const inDom0 = pieces
      .filter((piece) => !isInPlace(piece))
      .map(({ path }) =>
        warn(`${path} is missing, or is not what was installed`, { fix: 'sudo qusb setup dom0' }),
      )
    const inQubes = await Promise.all(
      backends.map(async ({ backend, files }) => await inspectBackend(examination, backend, files)),
    )
    return orWell([...inDom0, ...inQubes.flat()], names.join(', '))
  },
}

function isInPlace(piece: ReturnType<typeof dom0Pieces>[number]): boolean {
  try {
    return 'target' in piece
      ? readlinkSync(piece.path) === piece.target
      : readFileSync(piece.path, 'utf8') === piece.content
  } catch {
    return false
  }
}

/** Only what a qube that runs has can be seen; a template's files are seen in what is made of it. */
async function inspectBackend(
  { context, seen, named }: Examination,
  backend: QubeName,
  files: readonly InstalledFile[],
): Promise<Finding[]> {
  const here = files.filter(({ qube }) => qube === backend)
  if (here.length === 0 || !seen.surveys.has(backend) || (named.size > 0 && !named.has(backend))) return []
  const { found } = await inspectFiles(
    context.site,
    backend,
    here.map(({ path }) => path),
  )
  const wrong = here.filter(({ path, sha256 }) => {
    const there = found.get(path)
    return sha256 === 'link' ? there?.kind !== 'link' : there?.kind !== 'file' || there.sha256 !== sha256
  })
  return wrong.map(({ path }) => {
    const kind = found.get(path)?.kind ?? 'none'
    return warn(`${backend}: ${path} is ${kind === 'none' ? 'missing' : 'not what was installed'}`, {
      qube: backend,
      fix: `sudo qusb setup backend ${backend}`,
    })
  })
}
