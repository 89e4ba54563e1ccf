import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runScript, waitUntilReady } from './guest.ts'
import { withToken } from './image.ts'
import { defaultCache, type Parts } from './parts.ts'
import { keepState, machineArguments, startVm, type Vm, type VmOptions } from './vm.ts'

/** A machine that has booted and is no qube yet, on the disk: guests go on from it, in a fraction of a boot. */
export interface KeptMachine {
  readonly initrd: string
  readonly memory: string
  readonly state: string
  /** What its door wants to hear. */
  readonly token: string
}

export interface KeepOptions {
  readonly parts: Parts
  /** The root file system of all guests. */
  readonly base: Buffer
  /** Whether it has a USB controller. */
  readonly usb: boolean
  /** Default: in the user's cache. */
  readonly cache?: string
  readonly log: (line: string) => void
}

/** Boots in seconds; a machine busy with other things takes longer, and nobody gains by giving up. */
const BOOT_LIMIT = 300_000
const QUBE_LIMIT = 60_000
/** What was not used for so long belongs to a version that is gone, milliseconds. */
const UNUSED = 7 * 24 * 3_600_000

/**
 * Finds the machine in the cache, or boots one and keeps it there. Of several that want it at once one boots it.
 * Throws an Error when it does not boot.
 */
export async function keepMachine(options: KeepOptions): Promise<KeptMachine> {
  const cache = join(options.cache ?? defaultCache(), 'machines')
  await mkdir(cache, { recursive: true, mode: 0o700 })
  const folder = join(cache, await nameOf(options))
  const found = await readMachine(folder)
  if (found) return found
  const lock = await lockFile(`${folder}.lock`)
  try {
    const made = await readMachine(folder)
    if (made) return made
    options.log(`booting a machine to keep in ${folder}`)
    await removeUnused(cache)
    const work = await mkdtemp(`${folder}.`)
    try {
      await bootInto(work, options)
      await rename(work, folder).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
      })
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  } finally {
    lock.release()
  }
  const machine = await readMachine(folder)
  if (!machine) throw new Error(`the machine in ${folder} is incomplete`)
  return machine
}

/** Starts a guest where the machine stood; it is no qube yet. */
export async function startGuest(
  parts: Parts,
  { initrd, memory, state }: KeptMachine,
  options: Pick<VmOptions, 'name' | 'folder' | 'usb' | 'hubPort'>,
): Promise<Vm> {
  return await startVm(parts, { ...options, initrd, memory: { file: memory, own: false }, state })
}

/** Makes such a guest the qube of this archive, which has the token from now on. */
export async function becomeQube(vm: Vm, { token }: KeptMachine, archive: Buffer): Promise<void> {
  const door = { port: vm.doorPort, token }
  const { code, stderr } = await runScript({ door }, '/lab/become-qube', QUBE_LIMIT, archive)
  if (code !== 0) throw new Error(`the guest does not become a qube: ${stderr.trim() || `code ${code}`}`)
}

/** Another kernel, emulator, image or machine is another name. */
async function nameOf({ parts, base, usb }: KeepOptions): Promise<string> {
  const hash = createHash('sha256').update(base)
  for (const file of [parts.kernel, parts.qemu.program]) {
    const { size, mtimeMs } = await stat(file)
    hash.update(`${file} ${size} ${mtimeMs}\n`)
  }
  hash.update(machineArguments(parts, { initrd: '', usb }).join('\n'))
  return hash.digest('hex').slice(0, 16)
}

const inFolder = (folder: string) => ({
  initrd: join(folder, 'initrd'),
  memory: join(folder, 'memory'),
  state: join(folder, 'state'),
})

async function readMachine(folder: string): Promise<KeptMachine | undefined> {
  try {
    const token = await readFile(join(folder, 'token'), 'utf8')
    const now = new Date()
    await utimes(folder, now, now)
    return { ...inFolder(folder), token }
  } catch {
    return undefined
  }
}

async function bootInto(folder: string, { parts, base, usb }: KeepOptions): Promise<void> {
  const { initrd, memory, state } = inFolder(folder)
  const token = randomBytes(16).toString('hex')
  await writeFile(initrd, withToken(base, token), { mode: 0o600 })
  const vm = await startVm(parts, {
    name: 'kept',
    folder,
    initrd,
    usb,
    memory: { file: memory, own: true },
    // It calls nobody.
    hubPort: 1,
  })
  try {
    const guest = { vm, agent: { port: vm.agentPort, token }, door: { port: vm.doorPort, token } }
    await waitUntilReady(guest, 'the machine', BOOT_LIMIT)
    await keepState(vm, state)
  } finally {
    await vm.kill()
  }
  await writeFile(join(folder, 'token'), token, { mode: 0o600 })
}

/** Also what a start left behind that was killed. Whoever runs on one of them has it open. */
async function removeUnused(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const path = join(cache, name)
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }))
    if (Date.now() - mtimeMs > UNUSED) await rm(path, { recursive: true, force: true })
  }
}

/** Waits for a lock that ends with its process. Where there is no flock several boot, and one is first. */
async function lockFile(file: string): Promise<{ release(): void }> {
  const child = spawn('/usr/bin/flock', [file, '-c', 'echo; read -r line'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  child.on('error', () => {})
  child.stdin.on('error', () => {})
  await Promise.race([once(child.stdout, 'data'), once(child, 'close').catch(() => {})])
  return { release: () => child.stdin.end() }
}
