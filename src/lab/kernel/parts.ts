import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { open, readFile, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fetchEmulator, fetchInto, fetchKernel } from './debian.ts'
import { WANTED } from './modules.ts'
import { PartsMissing } from './parts-missing.ts'
import { findProgram } from './programs.ts'

const run = promisify(execFile)

/** A program of the kernel engine and how it is started from where it lies. */
export interface Qemu {
  readonly program: string
  /** Arguments that must come first (where its firmware lies). */
  readonly arguments: readonly string[]
  /** To be added to the environment (where its libraries lie). */
  readonly environment: Readonly<Record<string, string>>
}

/** What the kernel engine is made of, all on this machine's disk. */
export interface Parts {
  readonly qemu: Qemu
  /** A statically linked busybox: it runs on the host and in the guests. */
  readonly busybox: string
  /** The stock kernel: an ELF vmlinux, or the bzImage where nothing here can unpack it. */
  readonly kernel: string
  /** As in `uname -r`. */
  readonly release: string
  /** Kernel modules (`.ko` files) in the order in which they can be loaded. */
  readonly modules: readonly string[]
}

export interface PartsOptions {
  /** Default: `qusb-lab` in `$XDG_CACHE_HOME` or `~/.cache`. */
  readonly cache?: string
  /** Where programs are looked for; default `$PATH`. */
  readonly path?: string
  /** Told what is being fetched: it takes seconds, once. */
  readonly log?: (line: string) => void
}

/** The folder where the kernel engine keeps what it has fetched, for this user. */
export function defaultCache(environment: NodeJS.ProcessEnv = process.env): string {
  return join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'qusb-lab')
}

/** A change of what lies in the folders below makes old caches useless: then this number goes up. */
const CACHE_FORMAT = 1
/** Another choice of modules is another cache. */
const CHOICE = createHash('sha256').update(WANTED.join()).digest('hex').slice(0, 8)

/**
 * Finds QEMU, busybox and a stock Debian kernel, and fetches into the cache what is not there: an ordinary
 * user can, nothing is installed. Several may do it at once: whoever is first provides for all.
 * Throws PartsMissing.
 */
export async function getParts(options: PartsOptions = {}): Promise<Parts> {
  if (process.arch !== 'x64' || process.platform !== 'linux')
    throw new PartsMissing(
      `the kernel engine needs an x86-64 Linux machine (this is ${process.platform} ${process.arch})`,
      'Use the process engine: qusb lab up --engine process',
    )
  const cache = options.cache ?? defaultCache()
  const path = options.path ?? process.env.PATH ?? ''
  const log = options.log ?? (() => {})
  const emulatorFolder = join(cache, `emulator-${CACHE_FORMAT}`)
  const kernelFolder = join(cache, `kernel-${CACHE_FORMAT}-${CHOICE}`)
  const installed = await findInstalled(path)
  let emulator = installed ?? (await readEmulator(emulatorFolder))
  if (!emulator) {
    await rm(emulatorFolder, { recursive: true, force: true })
    await fetchInto(emulatorFolder, path, log, fetchEmulator)
    emulator = await readEmulator(emulatorFolder)
  }
  if (!emulator)
    throw new PartsMissing(
      `the fetched QEMU in ${emulatorFolder} does not run here`,
      'Install it: apt-get install qemu-system-x86 busybox-static (Fedora: dnf install qemu-system-x86 busybox).',
    )
  if (!(await readKernel(kernelFolder)))
    await fetchInto(kernelFolder, path, log, (folder, names) => fetchKernel(folder, names, emulator.busybox))
  const kernel = await readKernel(kernelFolder)
  if (!kernel) throw new PartsMissing(`the kernel in ${kernelFolder} is incomplete`, 'Remove that folder.')
  return { ...emulator, ...kernel }
}

type Emulator = Pick<Parts, 'qemu' | 'busybox'>
type Kernel = Pick<Parts, 'kernel' | 'release' | 'modules'>

/** QEMU and a static busybox that this machine has already. */
async function findInstalled(path: string): Promise<Emulator | undefined> {
  const program = await findProgram('qemu-system-x86_64', path)
  const busybox = await findProgram('busybox', path)
  if (!program || !busybox || !(await isStatic(busybox))) return undefined
  const { stdout } = await run(busybox, ['--list']).catch(() => ({ stdout: '' }))
  // Some distributions leave out what the guests live on.
  const applets = new Set(stdout.split('\n'))
  if (!['nc', 'ash', 'insmod', 'mkfifo', 'sha256sum', 'ip'].every((name) => applets.has(name)))
    return undefined
  return { qemu: { program, arguments: [], environment: {} }, busybox }
}

/** Whether an ELF program needs no loader, and so runs in a guest that has no libraries. */
async function isStatic(program: string): Promise<boolean> {
  const file = await open(program)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, 0)
    if (bytesRead < 64 || buffer.readUInt32BE(0) !== 0x7f454c46) return false
    const start = Number(buffer.readBigUInt64LE(32))
    const size = buffer.readUInt16LE(54)
    const interpreter = 3
    for (let i = 0; i < buffer.readUInt16LE(56); i++) {
      const at = start + i * size
      if (at + 4 > bytesRead || buffer.readUInt32LE(at) === interpreter) return false
    }
    return true
  } finally {
    await file.close()
  }
}

async function readEmulator(folder: string): Promise<Emulator | undefined> {
  const program = join(folder, 'usr/bin/qemu-system-x86_64')
  const libraries = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu'].map((name) => join(folder, name))
  const environment = { LD_LIBRARY_PATH: libraries.join(':') }
  const firmware = ['usr/share/qemu', 'usr/share/seabios'].flatMap((name) => ['-L', join(folder, name)])
  const busybox = join(folder, 'bin/busybox')
  try {
    // It leans on libraries of the system, too, which an upgrade may have taken away since.
    await run(program, ['--version'], { env: { ...process.env, ...environment } })
    await run(busybox, ['true'])
    return { qemu: { program, arguments: firmware, environment }, busybox }
  } catch {
    return undefined
  }
}

async function readKernel(folder: string): Promise<Kernel | undefined> {
  try {
    const [release, ...names] = (await readFile(join(folder, 'modules.txt'), 'utf8')).trim().split('\n')
    if (!release) return undefined
    return { release, kernel: join(folder, 'kernel'), modules: names.map((name) => join(folder, name)) }
  } catch {
    return undefined
  }
}
