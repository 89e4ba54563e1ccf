import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import { characterDevice, file, folder, link, packCpio, program } from './cpio.ts'
import agent from './guest/agent.sh'
import becomeQube from './guest/become-qube.sh'
import clientVmNearEnd from './guest/client-vm-near-end.sh'
import fill from './guest/fill.sh'
import init from './guest/init.sh'
import clientVm from './guest/qrexec-client-vm.sh'
import type { Parts } from './parts.ts'
import { GUEST_NETWORK } from './vm.ts'

const run = promisify(execFile)

/** What differs between guests. */
export interface GuestConfig {
  readonly name: string
  readonly domid: number
  /** Proves to the guest that the lab calls, and to the lab that this guest calls. */
  readonly token: string
  readonly publishes: 'full' | 'two-words'
  /** What a shell's profile prints before a service says anything. */
  readonly profileNoise: string
  /** Names in /run/qubes-service. */
  readonly services: readonly string[]
  /** Programs of this qube: path without the leading slash, and the script. */
  readonly programs: Readonly<Record<string, string>>
}

const FOLDERS = [
  ...['bin', 'dev', 'proc', 'sys', 'run', 'tmp', 'root', 'lab', 'mnt'],
  ...[
    'etc',
    'etc/qubes',
    'etc/qubes-rpc',
    'lib',
    'lib/modules',
    'usr',
    'usr/bin',
    'usr/lib',
    'usr/lib/qubes',
    'usr/lib/systemd',
  ],
]

/**
 * The root file system that all guests share: busybox with its names, the modules, the agent.
 * Not compressed: under emulation a guest unpacks more slowly than it copies.
 */
export async function buildBase(parts: Parts): Promise<Buffer> {
  const { stdout } = await run(parts.busybox, ['--list'])
  const names = stdout.split('\n').filter((name) => name && name !== 'busybox')
  const modules = await Promise.all(
    parts.modules.map(async (path) => ({ name: basename(path, '.ko'), content: await readFile(path) })),
  )
  return packCpio([
    ...FOLDERS.map((path) => folder(path)),
    // The kernel opens it for the first process, before that one can mount anything.
    characterDevice('dev/console', 5, 1),
    program('bin/busybox', await readFile(parts.busybox)),
    ...names.map((name) => link(`bin/${name}`, 'busybox')),
    ...modules.map(({ name, content }) => file(`lib/modules/${name}.ko`, content)),
    file('lib/modules/order', modules.map(({ name }) => `${name}\n`).join('')),
    file('etc/passwd', 'root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n'),
    file('etc/group', 'root:x:0:\nuser:x:1000:\n'),
    program('init', init),
    program('lab/agent', agent),
    program('lab/become-qube', becomeQube),
    program('lab/fill', fill),
    program('usr/bin/qrexec-client-vm', clientVm),
    // The same name, as there they are one process.
    program('usr/lib/qubes/qrexec-client-vm', clientVmNearEnd),
  ])
}

/** The root file system of a machine that is no qube yet and listens to whoever has this token. */
export const withToken = (base: Buffer, token: string): Buffer =>
  Buffer.concat([base, packCpio([file('lab/config', `TOKEN='${token}'\n`)])])

/** What makes such a machine one qube: an archive for its `/lab/become-qube`. */
export function packQube(config: GuestConfig): Buffer {
  const settings = {
    NAME: config.name,
    DOMID: config.domid,
    TOKEN: config.token,
    HUB: GUEST_NETWORK.hub,
    PUBLISHES: config.publishes,
    SERVICES: config.services.join(' '),
    NOW: Math.floor(Date.now() / 1000),
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name}='${value}'\n`)
  return packCpio([
    file('lab/config', lines.join('')),
    ...(config.profileNoise ? [file('lab/profile', config.profileNoise)] : []),
    ...Object.entries(config.programs).map(([path, script]) => program(path, script)),
  ])
}
