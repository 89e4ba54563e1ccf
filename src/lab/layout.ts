import { join } from 'node:path'

/** Where a lab keeps its pieces, below its own directory. */
export interface Layout {
  readonly dir: string
  /** The lab's dom0: programs, sockets, policy, state. */
  readonly dom0: string
  readonly qrexecClient: string
  readonly policyExec: string
  readonly qubesRunDir: string
  readonly policyDirs: readonly [string, string]
  /** The services of the lab's dom0. */
  readonly rpcDir: string
  /** The FIFO at which calls of the process engine's qubes to dom0 arrive. */
  readonly dom0Door: string
  readonly qubesdSocket: string
  readonly bootId: string
  readonly site: string
  /** `lab.json`: what `down` and `status` read. */
  readonly record: string
  readonly log: string
  /** What the lab's process is started with. */
  readonly settings: string
  /** The unix socket of the lab commands. */
  readonly control: string
  /** The FIFO on which scripts in qubes ask the lab. */
  readonly rpc: string
  /** FIFOs of calls under way. */
  readonly calls: string
  /** Who answers at a domain's door: `NAME` and `DOMID` files with `DOMID PID`, and `DOMID.frozen`. */
  readonly doors: string
  /** Data links of attached devices. */
  readonly links: string
  readonly images: string
  readonly fifos: string
  readonly qubes: string
}

export function layOut(dir: string): Layout {
  const dom0 = join(dir, 'dom0')
  return {
    dir,
    dom0,
    qrexecClient: join(dom0, 'bin/qrexec-client'),
    policyExec: join(dom0, 'bin/qrexec-policy-exec'),
    qubesRunDir: join(dom0, 'run/qubes'),
    policyDirs: [join(dom0, 'run/qubes/policy.d'), join(dom0, 'etc/qubes/policy.d')],
    rpcDir: join(dom0, 'etc/qubes-rpc'),
    dom0Door: join(dom0, 'run/dom0-door'),
    qubesdSocket: join(dom0, 'run/qubes/qubesd.sock'),
    bootId: join(dom0, 'proc/sys/kernel/random/boot_id'),
    site: join(dir, 'site.json'),
    record: join(dir, 'lab.json'),
    log: join(dir, 'log'),
    settings: join(dir, 'settings.json'),
    control: join(dir, 'control'),
    rpc: join(dir, 'rpc'),
    calls: join(dir, 'calls'),
    doors: join(dir, 'doors'),
    links: join(dir, 'links'),
    images: join(dir, 'images'),
    fifos: join(dir, 'fifos'),
    qubes: join(dir, 'qubes'),
  }
}

/** The longest path that a unix socket's address holds on Linux, without the final NUL. */
export const SOCKET_PATH_LIMIT = 107
