import { type ChildProcess, spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Parts } from './parts.ts'
import { openQmp, type Qmp } from './qmp.ts'

/** Where guests find the lab's hub, and on which port their agents and doors listen. */
export const GUEST_NETWORK = { hub: '10.0.2.100:7000', agent: 9000, door: 9001 }

export interface VmOptions {
  readonly name: string
  /** Gets the console's log and QEMU's own messages. */
  readonly folder: string
  readonly initrd: string
  /** Whether it has a USB controller. */
  readonly usb: boolean
  /** The file of its memory: the machine's own to write, or another's to go on from, which stays as it is. */
  readonly memory: { readonly file: string; readonly own: boolean }
  /** Where a machine stood that was kept with that memory; without, it boots. */
  readonly state?: string
  /** The port on 127.0.0.1 that the guest reaches as the hub. */
  readonly hubPort: number
}

/** A running virtual machine. */
export interface Vm {
  readonly pid: number
  readonly qmp: Qmp
  /** Ports on 127.0.0.1 that lead to the guest's agent and to its door. */
  readonly agentPort: number
  readonly doorPort: number
  readonly console: string
  /** Settles when QEMU has ended, with a reason for people. */
  readonly ended: Promise<string>
  readonly isOver: () => boolean
  /** Ends QEMU at once, as a power cut would. */
  kill(): Promise<void>
}

/** USB 3 sockets take both speeds; those above are USB 2 only, so a stick in one runs at 480 Mb/s. */
export const SOCKETS = { superSpeed: 8, all: 15 }

/** MiB: enough for our guests, 64 does not boot. */
const MEMORY = 128

/** In an option of QEMU's a comma ends a value and two are one. */
export const optionValue = (text: string): string => text.replaceAll(',', ',,')

/**
 * What machines must have in common for one to go on from where another stood. The kernel does without what costs an
 * emulated processor much and guards nothing here.
 */
export function machineArguments(parts: Parts, { initrd, usb }: Pick<VmOptions, 'initrd' | 'usb'>): string[] {
  const role = usb ? 'backend' : 'frontend'
  const without = [
    'mitigations=off init_on_alloc=0 hardened_usercopy=off randomize_kstack_offset=off',
    'lsm=capability apparmor=0 audit=0 psi=0 cgroup_disable=memory',
  ]
  const kernelWords = `console=ttyS0 panic=-1 oops=panic quiet ${without.join(' ')} ROLE=${role}`
  return [
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ...['-M', 'pc,memory-backend=ram', '-accel', 'tcg,tb-size=64', '-smp', '1', '-m', `${MEMORY}`],
    ...['-kernel', parts.kernel, '-initrd', initrd, '-append', kernelWords],
    ...['-device', 'virtio-net-pci,netdev=net,romfile='],
    ...(usb ? ['-device', `qemu-xhci,id=usb,p2=${SOCKETS.all},p3=${SOCKETS.superSpeed}`] : []),
  ]
}

/**
 * Starts a virtual machine under software emulation: `/dev/kvm` may open on a host whose processor cannot
 * run guests, and then nothing boots. Resolves when QEMU runs; the guest is still booting then.
 */
export async function startVm(parts: Parts, options: VmOptions): Promise<Vm> {
  const console = join(options.folder, 'console.log')
  const messages = await open(join(options.folder, 'qemu.log'), 'w')
  const forward = `'${parts.busybox}' nc 127.0.0.1 ${options.hubPort}`
  const network = [
    'user,id=net,restrict=on',
    `guestfwd=tcp:${GUEST_NETWORK.hub}-cmd:${optionValue(forward)}`,
    `hostfwd=tcp:127.0.0.1:0-:${GUEST_NETWORK.agent}`,
    `hostfwd=tcp:127.0.0.1:0-:${GUEST_NETWORK.door}`,
  ]
  const { file, own } = options.memory
  const args = [
    ...parts.qemu.arguments,
    ...['-name', optionValue(options.name)],
    ...[
      '-object',
      `memory-backend-file,id=ram,size=${MEMORY}M,mem-path=${optionValue(file)},share=${own ? 'on' : 'off'}`,
    ],
    ...['-netdev', network.join(',')],
    ...machineArguments(parts, options),
    ...['-serial', `file:${optionValue(console)}`, '-qmp', 'stdio'],
    ...(options.state === undefined ? [] : ['-incoming', 'defer']),
  ]
  const child = spawn(parts.qemu.program, args, {
    // Away from the terminal: a Ctrl-C there is for the lab to handle.
    detached: true,
    // All of it: by a variable there the lab finds what a killed one left.
    env: { ...process.env, ...parts.qemu.environment },
    stdio: ['pipe', 'pipe', messages.fd],
  })
  await messages.close()
  let over = false
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', async (code, signal) => {
      const words = await readFile(join(options.folder, 'qemu.log'), 'utf8').catch(() => '')
      resolve(words.trim() || `QEMU ended with ${signal ?? code}`)
    })
  }).then((reason) => {
    over = true
    return reason
  })
  const { pid, stdin, stdout } = child
  if (pid === undefined || !stdin || !stdout) throw new Error(`QEMU does not start: ${await ended}`)
  guard(child, pid)
  const kill = async () => {
    if (!over) child.kill('SIGKILL')
    await ended
  }
  try {
    const qmp = await Promise.race([openQmp(stdin, stdout), failWhenEnded(ended)])
    if (options.state !== undefined) await goOn(qmp, options.state)
    const ports = await forwardedPorts(qmp)
    return { pid, qmp, ...ports, console, ended, isOver: () => over, kill }
  } catch (error) {
    await kill()
    throw error
  }
}

/** Keeps where a machine stands, beside its memory: QEMU can then be ended. Throws QmpError. */
export async function keepState({ qmp }: Vm, file: string): Promise<void> {
  await qmp.execute('stop')
  await qmp.execute('migrate-set-capabilities', MEMORY_APART)
  await qmp.execute('migrate', { uri: `exec:cat > ${quoted(file)}` })
  await migrated(qmp)
}

async function goOn(qmp: Qmp, state: string): Promise<void> {
  await qmp.execute('migrate-set-capabilities', MEMORY_APART)
  await qmp.execute('migrate-incoming', { uri: `exec:cat ${quoted(state)}` })
  await migrated(qmp)
  await qmp.execute('cont')
}

/** What lies in a file that machines may share is not written once more with the state. */
const MEMORY_APART = { capabilities: [{ capability: 'x-ignore-shared', state: true }] }

const quoted = (path: string): string => `'${path.replaceAll("'", "'\\''")}'`

async function migrated(qmp: Qmp): Promise<void> {
  for (;;) {
    const { status, 'error-desc': why } = (await qmp.execute('query-migrate')) as Record<string, string>
    if (status === 'completed') return
    if (status === 'failed') throw new Error(`QEMU cannot move the machine: ${why ?? 'no reason given'}`)
    await wait(20)
  }
}

async function failWhenEnded(ended: Promise<string>): Promise<never> {
  throw new Error(`QEMU does not start: ${await ended}`)
}

/** Ends QEMU should this process die by a signal that it cannot handle: its end closes the guard's stdin. */
function guard(child: ChildProcess, pid: number): void {
  const script = 'trap "" INT TERM HUP; read -r line; kill -9 "$1" 2>/dev/null'
  const watcher = spawn('/bin/sh', ['-c', script, 'sh', `${pid}`], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watcher.on('error', () => {})
  watcher.stdin?.on('error', () => {})
  // Before the pid can be another process's.
  child.once('exit', () => watcher.kill('SIGKILL'))
}

/** QEMU chose free ports itself, so that no two labs can want the same; its monitor tells which. */
async function forwardedPorts(qmp: Qmp): Promise<{ agentPort: number; doorPort: number }> {
  const text = String(await qmp.execute('human-monitor-command', { 'command-line': 'info usernet' }))
  const portTo = (guestPort: number) => {
    for (const line of text.split('\n')) {
      const [protocol, , , port, , to] = line.trim().split(/\s+/)
      if (protocol === 'TCP[HOST_FORWARD]' && Number(to) === guestPort) return Number(port)
    }
    throw new Error(`QEMU forwards nothing to port ${guestPort} of the guest`)
  }
  return { agentPort: portTo(GUEST_NETWORK.agent), doorPort: portTo(GUEST_NETWORK.door) }
}
