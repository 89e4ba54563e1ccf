import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import { type CpioEntry, characterDevice, file, folder, link, packCpio, program } from './cpio.ts'
import agent from './guest/agent.sh'
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
  readonly role: 'backend' | 'frontend'
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
    program('lab/fill', fill),
    program('usr/bin/qrexec-client-vm', clientVm),
    // The same name, as there they are one process.
    program('usr/lib/qubes/qrexec-client-vm', clientVmNearEnd),
  ])
}

/** The base with what makes it one qube: a second archive behind the first. */
export function buildImage(base: Buffer, config: GuestConfig): Buffer {
  const settings = {
    NAME: config.name,
    DOMID: config.domid,
    ROLE: config.role,
    TOKEN: config.token,
    HUB: GUEST_NETWORK.hub,
    PUBLISHES: config.publishes,
    SERVICES: config.services.join(' '),
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name}='${value}'\n`)
  const own: CpioEntry[] = [
    file('lab/config', lines.join('')),
    ...(config.profileNoise ? [file('lab/profile', config.profileNoise)] : []),
    ...Object.entries(config.programs).map(([path, script]) => program(path, script)),
  ]
  return Buffer.concat([base, packCpio(own)])
}
