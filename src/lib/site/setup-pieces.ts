import { lstatSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import watchUnit from '../../../share/systemd/qusb-watch@.service'
import type { QubeName } from '../model/names.ts'
import { inspectFile, inspectLink, makeLink, replaceFile } from './owned-path.ts'
import type { Owner, SetupStep } from './setup.ts'
import { type Manifest, readManifest } from './setup-manifest.ts'
import type { Site } from './site.ts'

const SERVICE = 'qusb.Plugged'
const UNIT = 'qusb-watch@.service'
const POLICY = '30-qusb.policy'

/**
 * The policy of the service: each USB qube that is set up by its name, without an argument, and nobody else. A refusal is
 * no news: any qube could make one at any time.
 */
export function pluggedPolicy(backends: readonly QubeName[]): string {
  return [
    '# Made by "qusb setup": which USB qubes may say that a device came or went. They say no more than that.',
    ...backends.map((name) => `${SERVICE}  +  ${name}  @adminvm  allow`),
    `${SERVICE}  *  *  *  deny  notify=no`,
    '',
  ].join('\n')
}

/** A file of dom0 that is to have this content. */
export function planFile(path: string, content: string, what: string, owner: Owner): SetupStep {
  return {
    path,
    action: inspectFile(path, content, owner),
    what,
    do: () => {
      makeParent(path)
      replaceFile(path, content, owner)
    },
  }
}

/** All of it, where these USB qubes may give hints. */
export function dom0Pieces(
  site: Site,
  backends: readonly QubeName[] = [],
): ({ path: string; content: string } | { path: string; target: string })[] {
  return [
    { path: join(site.unitDir, UNIT), content: watchUnit },
    { path: join(site.rpcDir, SERVICE), target: join(site.runDir, 'plugged.sock') },
    { path: join(site.keptPolicyDir, POLICY), content: pluggedPolicy(backends) },
  ]
}

/** What lets USB qubes give hints, and what runs the watcher. */
export function planPieces(site: Site, owner: Owner, manifest: Manifest = readManifest(site)): SetupStep[] {
  const link = join(site.rpcDir, SERVICE)
  const socket = join(site.runDir, 'plugged.sock')
  return [
    planFile(join(site.unitDir, UNIT), watchUnit, 'the unit that attaches by rule', owner),
    {
      path: link,
      action: inspectLink(link, socket, owner),
      what: `the service by which USB qubes give hints: ${socket}`,
      do: () => {
        makeParent(link)
        makeLink(link, socket)
      },
    },
    planPolicy(site, owner, manifest),
  ]
}

/** Who may give hints: the USB qubes that are set up. */
export function planPolicy(site: Site, owner: Owner, manifest: Manifest): SetupStep {
  const backends = manifest.backends.map(({ backend }) => backend)
  const names = backends.length === 0 ? 'no USB qube yet' : backends.join(', ')
  return planFile(
    join(site.keptPolicyDir, POLICY),
    pluggedPolicy(backends),
    `who may give them: ${names}`,
    owner,
  )
}

function makeParent(path: string): void {
  const parent = dirname(path)
  if (lstatSync(parent, { throwIfNoEntry: false }) === undefined) {
    mkdirSync(parent, { recursive: true, mode: 0o755 })
  }
}
