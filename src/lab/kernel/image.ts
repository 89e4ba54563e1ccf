import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import { type CpioEntry, characterDevice, file, folder, link, packCpio, program } from './cpio.ts'
import agent from './guest/agent.sh'
import calledOut from './guest/called-out.sh'
import init from './guest/init.sh'
import clientVm from './guest/qrexec-client-vm.sh'
import type { Parts } from './packages.ts'
import { GUEST_NETWORK } from './vm.ts'

const run = promisify(execFile)

/** What differs between guests. */
export interface GuestConfig {
  readonly name: string
  readonly role: 'backend' | 'frontend'
  /** Proves to the guest that the lab calls, and to the lab that this guest calls. */
  readonly token: string
  /** The qube's qrexec services: file name to script. */
  readonly services: Readonly<Record<string, string>>
}

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
    ...['bin', 'dev', 'proc', 'sys', 'run', 'tmp', 'root', 'etc', 'lab', 'lib', 'lib/modules', 'mnt'].map(
      (path) => folder(path),
    ),
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
    program('lab/called-out', calledOut),
    program('bin/qrexec-client-vm', clientVm),
  ])
}

/** The base with what makes it one qube: a second archive behind the first. */
export function buildImage(base: Buffer, config: GuestConfig): Buffer {
  const settings = { NAME: config.name, ROLE: config.role, TOKEN: config.token, HUB: GUEST_NETWORK.hub }
  const own: CpioEntry[] = [
    file(
      'lab/config',
      Object.entries(settings)
        .map(([name, value]) => `${name}='${value}'\n`)
        .join(''),
    ),
    folder('etc/qubes-rpc'),
    ...Object.entries(config.services).map(([name, script]) => program(`etc/qubes-rpc/${name}`, script)),
  ]
  return Buffer.concat([base, packCpio(own)])
}
