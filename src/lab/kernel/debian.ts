import { execFile, spawn } from 'node:child_process'
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { extractVmlinux } from './kernel-image.ts'
import { collectModules, MODULE_FOLDERS } from './modules.ts'
import { PartsMissing } from './parts-missing.ts'
import { findProgram } from './programs.ts'

const run = promisify(execFile)

/** Package names to `.deb` files: the apt of this fetch. */
export type Download = (pick: (apt: Apt) => Promise<string[]>) => Promise<string[]>

/** Runs an apt program on our own lists and returns what it prints. */
type Apt = (program: 'apt-get' | 'apt-cache', args: readonly string[]) => Promise<string>

/** Builds a folder beside its place and moves it there whole: a reader sees all of it or nothing. */
export async function fetchInto(
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
  await mkdir(dirname(folder), { recursive: true })
  await removeLeftovers(folder)
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

/** What a fetch left behind that was killed: hundreds of megabytes. A fetch takes no hour. */
async function removeLeftovers(folder: string): Promise<void> {
  const hour = 3_600_000
  for (const name of await readdir(dirname(folder))) {
    const path = join(dirname(folder), name)
    if (!name.startsWith(`${basename(folder)}.`)) continue
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }))
    if (Date.now() - mtimeMs > hour) await rm(path, { recursive: true, force: true })
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

export async function fetchEmulator(folder: string, fetch: Download): Promise<void> {
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

export async function fetchKernel(folder: string, fetch: Download, busybox: string): Promise<void> {
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
