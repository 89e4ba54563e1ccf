import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

const RULES = ['etc/udev/rules.d', 'run/udev/rules.d']
const AT_BOOT = ['etc/tmpfiles.d', 'etc/systemd/system/multi-user.target.wants', 'rw/config/rc.local.d']

/** What udev and systemd do in a qube of the process engine: scripts of its own that are run when there is something. */
export class QubeSystem {
  readonly #root: string
  readonly #environment: () => Record<string, string>
  readonly #log: (line: string) => void
  readonly #running = new Set<ChildProcess>()
  #ended = false
  /** Events one after the other, as udev does with those of one device. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(root: string, environment: () => Record<string, string>, log: (line: string) => void) {
    this.#root = root
    this.#environment = environment
    this.#log = log
  }

  /** Runs what is to be run at a start. */
  async boot(services: readonly string[]): Promise<void> {
    mkdirSync(join(this.#root, 'run/qubes-service'), { recursive: true })
    for (const name of services) writeFileSync(join(this.#root, 'run/qubes-service', name), '')
    if (this.#hasFiles(AT_BOOT)) await this.#run('usr/lib/systemd/lab-boot', [])
  }

  /** A USB device came or went. */
  tell(action: 'add' | 'remove', devpath: string): void {
    if (!this.#hasFiles(RULES)) return
    this.#queue = this.#queue
      .then(() => this.#run('usr/lib/systemd/lab-udev', [action, devpath, 'usb', 'usb_device']))
      .catch((error: Error) => this.#log(`udev: ${error.message}`))
  }

  /** Ends what runs, and begins nothing more. */
  end(): void {
    this.#ended = true
    this.signal('SIGKILL')
  }

  signal(signal: NodeJS.Signals): void {
    for (const { pid } of this.#running) {
      try {
        if (pid !== undefined) process.kill(-pid, signal)
      } catch {
        // It has just ended.
      }
    }
  }

  #hasFiles(directories: readonly string[]): boolean {
    return directories.some((directory) => {
      const path = join(this.#root, directory)
      return existsSync(path) && readdirSync(path).length > 0
    })
  }

  async #run(program: string, args: readonly string[]): Promise<void> {
    if (this.#ended) return
    const child = spawn('/bin/sh', [join(this.#root, program), ...args], {
      // A group of its own, with all that it starts: it ends with the qube.
      detached: true,
      cwd: this.#root,
      env: this.#environment(),
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    })
    this.#running.add(child)
    // All that it starts inherits this end: what it leaves in the background must not outlive the qube either, or it takes
    // the next one's files for its own.
    const held = child.stdio[3] as Readable
    held.on('error', () => {}).once('close', () => this.#running.delete(child))
    held.resume()
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#log(text.trimEnd().slice(0, 500)))
    await once(child, 'exit')
  }
}
