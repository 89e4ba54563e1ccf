import { readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Reply } from '../fifo.ts'
import type { Layout } from '../layout.ts'

/** The end of a call whose domain has gone. */
const GONE = '125'

/**
 * The doors of domains: `run/qubes/qrexec.DOMID` with a link `qrexec.NAME`, which stand for the sockets of
 * qrexec-daemon, and the files that tell a client who answers there.
 */
export class Doors {
  readonly #layout: Layout

  constructor(layout: Layout) {
    this.#layout = layout
  }

  path(domid: number): string {
    return join(this.#layout.qubesRunDir, `qrexec.${domid}`)
  }

  /** Links the name to the door, which exists. */
  name(name: string, domid: number): void {
    const link = join(this.#layout.qubesRunDir, `qrexec.${name}`)
    rmSync(link, { force: true })
    symlinkSync(`qrexec.${domid}`, link)
  }

  /** From now on the process `pid` answers. */
  open(name: string, domid: number, pid: number): void {
    this.#tell(name, domid, `${domid} ${pid}\n`)
  }

  /** Nobody answers any more; the door is left behind stale. Calls under way end. */
  shut(name: string, domid: number): void {
    this.#tell(name, domid, `${domid}\n`)
    this.freeze(domid, false)
    this.failCalls(domid)
  }

  /** Removes the door and its name. */
  remove(name: string, domid: number): void {
    rmSync(join(this.#layout.qubesRunDir, `qrexec.${name}`), { force: true })
    rmSync(this.path(domid), { force: true })
    for (const each of [name, String(domid)]) rmSync(join(this.#layout.doors, each), { force: true })
  }

  /** Clients wait, until their own limit, while a door is frozen. */
  freeze(domid: number, on: boolean): void {
    const path = join(this.#layout.doors, `${domid}.frozen`)
    if (on) writeFileSync(path, '')
    else rmSync(path, { force: true })
  }

  /** Ends calls from dom0 to a domain for their clients. */
  failCalls(domid: number): void {
    for (const name of readdirSync(this.#layout.calls)) {
      if (name.startsWith(`${domid}.`) && name.endsWith('.x')) {
        new Reply(join(this.#layout.calls, name)).send(GONE)
      }
    }
  }

  #tell(name: string, domid: number, text: string): void {
    for (const each of [name, String(domid)]) {
      const path = join(this.#layout.doors, each)
      writeFileSync(`${path}.new`, text)
      renameSync(`${path}.new`, path)
    }
  }
}
