import { execFile, spawn } from 'node:child_process'
import {
  access,
  constants,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, delimiter, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { extractVmlinux } from './kernel-image.ts'
import { collectModules, MODULE_FOLDERS } from './modules.ts'

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

/** The kernel engine cannot run here; `hint` says what is missing and how to get it. */
export class PartsMissing extends Error {
  readonly hint: string
  constructor(message: string, hint: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'PartsMissing'
    this.hint = hint
  }
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
  const kernelFolder = join(cache, `kernel-${CACHE_FORMAT}`)
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

async function findProgram(name: string, path: string): Promise<string | undefined> {
  // What ordinary users have in their PATH leaves out where some systems keep such programs.
  for (const folder of [...path.split(delimiter), '/usr/sbin', '/sbin']) {
    const file = join(folder, name)
    if (
      folder &&
      (await access(file, constants.X_OK).then(
        () => true,
        () => false,
      ))
    )
      return file
  }
  return undefined
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

/** Package names to `.deb` files: the apt of this fetch. */
type Download = (pick: (apt: Apt) => Promise<string[]>) => Promise<string[]>

/** Runs an apt program on our own lists and returns what it prints. */
type Apt = (program: 'apt-get' | 'apt-cache', args: readonly string[]) => Promise<string>

/** Builds a folder beside its place and moves it there whole: a reader sees all of it or nothing. */
async function fetchInto(
  folder: string,
  path: string,
  log: (line: string) => void,
  build: (folder: string, download: Download) => Promise<void>,
): Promise<void> {
  const missing: string[] = []
  for (const name of ['apt-get', 'apt-cache', 'dpkg-deb', 'tar'])
    if (!(await findProgram(name, path))) missing.push(name)
  if (missing.length > 0)
    throw new PartsMissing(
      `the kernel engine gets a stock Debian kernel, QEMU and busybox as Debian packages, and this machine has no ${missing.join(', ')}`,
      `Run the lab on a Debian machine or in a Debian container, or fill ${folder} by running it once there and copying it. The process engine needs nothing: qusb lab up --engine process`,
    )
  await mkdir(join(folder, '..'), { recursive: true })
  const work = await mkdtemp(`${folder}.`)
  const result = join(work, 'result')
  try {
    await mkdir(result)
    await build(result, (pick) => download(work, log, pick))
    await rename(result, folder).catch(async (error: NodeJS.ErrnoException) => {
      // Somebody else was faster, with the same thing.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } catch (error) {
    if (error instanceof PartsMissing) throw error
    throw new PartsMissing(
      `the Debian packages of the kernel engine could not be fetched: ${lastLine(error)}`,
      'It needs the package archive once; later starts use the cache. See `apt-get update` for what is wrong.',
      error,
    )
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

function lastLine(error: unknown): string {
  const stderr = (error as { stderr?: string }).stderr?.trim()
  const text = stderr || (error instanceof Error ? error.message : String(error))
  return text.split('\n').at(-1) ?? text
}

async function download(
  work: string,
  log: (line: string) => void,
  pick: (apt: Apt) => Promise<string[]>,
): Promise<string[]> {
  const packages = join(work, 'packages')
  for (const name of ['state', 'lists/partial', 'cache/archives/partial', 'packages'])
    await mkdir(join(work, name), { recursive: true })
  // Lists and cache of our own: the system's belong to root, who may never have fetched them.
  const options = Object.entries({
    'Dir::State': join(work, 'state'),
    'Dir::State::Lists': join(work, 'lists'),
    'Dir::State::status': '/var/lib/dpkg/status',
    'Dir::Cache': join(work, 'cache'),
    'APT::Sandbox::User': '',
    'Debug::NoLocking': '1',
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  const apt: Apt = async (program, args) => {
    const env = { ...process.env, LC_ALL: 'C' }
    const limits = { timeout: 300_000, maxBuffer: 16 << 20 }
    return (await run(program, [...options, ...args], { cwd: packages, env, ...limits })).stdout
  }
  log('fetching package lists')
  await apt('apt-get', ['-q', 'update'])
  const names = await pick(apt)
  log(`fetching ${names.join(' ')}`)
  await apt('apt-get', ['-q', 'download', ...names])
  return (await readdir(packages)).map((name) => join(packages, name))
}

async function fetchEmulator(folder: string, fetch: Download): Promise<void> {
  const files = await fetch(async (apt) => {
    const wanted = ['qemu-system-x86', 'busybox-static']
    const plan = await apt('apt-get', [
      'install',
      '--print-uris',
      '--no-install-recommends',
      '-qq',
      '-y',
      ...wanted,
    ])
    // `'URI' NAME_VERSION_ARCH.deb SIZE HASH`: what this system lacks for the two, and they themselves.
    const names = [...plan.matchAll(/^'[^']*' ([a-z0-9][a-z0-9.+-]*)_\S+\.deb /gm)].map(
      (match) => match[1] ?? '',
    )
    return [...new Set([...wanted, ...names])]
  })
  for (const file of files) await run('dpkg-deb', ['-x', file, folder])
}

async function fetchKernel(folder: string, fetch: Download, busybox: string): Promise<void> {
  const files = await fetch(async (apt) => {
    // The cloud kernels have no USB; this name is the stock kernel of every Debian release.
    const depends = await apt('apt-cache', ['depends', 'linux-image-amd64'])
    const name = /^\s+Depends: (linux-image-\S+)$/m.exec(depends)?.[1]
    if (!name)
      throw new PartsMissing(
        'apt knows no package linux-image-amd64 here',
        'The kernel engine needs the Debian package archive; Ubuntu has another. Run it in a Debian container.',
      )
    return [name]
  })
  const [file] = files
  if (!file) throw new Error('apt-get download left no package')
  const root = `${folder}.root`
  await mkdir(root)
  await unpackSome(file, root, [
    './boot/vmlinuz-*',
    ...MODULE_FOLDERS.map((name) => `./lib/modules/*/${name}*`),
  ])
  const image = (await readdir(join(root, 'boot')))[0]
  if (!image) throw new Error(`${basename(file)} holds no kernel`)
  const release = image.replace('vmlinuz-', '')
  const vmlinux = await extractVmlinux(await readFile(join(root, 'boot', image)), busybox)
  await writeFile(join(folder, 'kernel'), vmlinux)
  const modules = await collectModules(join(root, 'lib/modules', release), busybox)
  for (const { name, content } of modules) await writeFile(join(folder, `${name}.ko`), content)
  await writeFile(
    join(folder, 'modules.txt'),
    [release, ...modules.map(({ name }) => `${name}.ko`), ''].join('\n'),
  )
}

/** Unpacks of a package only what matches: a stock kernel unpacks to 400 MB, of which we need 70. */
async function unpackSome(file: string, folder: string, patterns: string[]): Promise<void> {
  const from = spawn('dpkg-deb', ['--fsys-tarfile', file], { stdio: ['ignore', 'pipe', 'ignore'] })
  const into = spawn('tar', ['-x', '-C', folder, '--no-same-owner', '--wildcards', ...patterns], {
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  let complaint = ''
  into.stderr.on('data', (data: Buffer) => {
    complaint = (complaint + data.toString()).slice(-2000)
  })
  const ended = new Promise<void>((resolve, reject) => {
    into.on('error', reject)
    // A pattern that matches nothing makes tar end with 2: module folders differ between kernel versions.
    into.on('close', () => resolve())
  })
  // tar may end before it has read the padding behind the archive's end.
  await pipeline(from.stdout, into.stdin).catch(() => {})
  await ended
  if (
    !(await access(join(folder, 'boot')).then(
      () => true,
      () => false,
    ))
  )
    throw new Error(`cannot unpack ${basename(file)}: ${complaint}`)
}
