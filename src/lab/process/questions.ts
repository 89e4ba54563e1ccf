import { existsSync, unlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { EngineHost } from '../engine.ts'
import { Reply } from '../fifo.ts'
import { layOut } from '../layout.ts'
import type { Decision } from '../policy/evaluate.ts'
import type { Question } from '../qrexec/rpc.ts'
import { readTemperature } from '../usbip/go-temp.ts'
import { KernelError } from './kernel-error.ts'
import type { Link, Links } from './links.ts'
import type { Qube } from './qube.ts'

/** How often processes that have ended leave their qube's /proc and their links, milliseconds. */
const ROUND = 300
/** As the real proxy looks whether an export is over (docs/facts.md#release), seconds. */
const EXPORT_LOOK = 1
/** As the kernel's SCSI layer gives a command, milliseconds. */
const READ_LIMIT = 30_000

/** A call between qubes that is under way. */
interface OpenCall {
  readonly source: number
  readonly target: number
  readonly pid: number
  readonly link: Link
  /** The FIFO on which the caller waits for the exit code. */
  readonly exit: string
}

/** Answers what the scripts in qubes ask: calls to other qubes, writes to sysfs and QubesDB, reads of devices. */
export class Questions {
  readonly #host: EngineHost
  readonly #links: Links
  readonly #find: (domid: number) => Qube | undefined
  readonly #calls = new Set<OpenCall>()
  readonly #shown = new Map<number, Qube>()
  readonly #callsDir: string
  readonly #timer: NodeJS.Timeout

  constructor(host: EngineHost, links: Links, find: (domid: number) => Qube | undefined) {
    this.#host = host
    this.#links = links
    this.#find = find
    this.#callsDir = layOut(host.dir).calls
    this.#timer = setInterval(() => this.#sweep(), ROUND)
    this.#timer.unref()
  }

  answer(question: Question): void {
    const qube = this.#find(question.domid)
    if (qube === undefined) {
      question.reply('error no such domain')
      return
    }
    this.#answer(qube, question).catch((error: Error) => {
      const known = error instanceof KernelError
      if (!known) this.#host.log(`${qube.domain.name}: ${question.verb} ${question.rest}: ${error.message}`)
      question.reply(`error ${known ? error.errno : error.message.replace(/\s+/g, ' ').slice(0, 200)}`)
    })
  }

  /** Ends calls to a domain that is gone for their callers, and forgets its own. */
  domainEnded(domid: number): void {
    for (const call of this.#calls) {
      if (call.target === domid) new Reply(call.exit).send('125')
      if (call.target === domid || call.source === domid) this.#endCall(call)
    }
  }

  async #answer(qube: Qube, question: Question): Promise<void> {
    const words = question.rest.split(' ')
    const [first = '', second = '', third = ''] = words
    switch (question.verb) {
      case 'store': {
        const value = words.slice(3).join(' ')
        await qube.store(third, value, this.#links.get(second))
        return question.reply('ok')
      }
      case 'call':
        return this.#call(qube, question, Number(first), second, third)
      case 'process':
        this.#show(qube, Number(first))
        return question.reply('ok')
      case 'ended': {
        for (const call of this.#calls) {
          if (call.link.id === first) this.#endCall(call)
        }
        return question.reply('ok')
      }
      case 'qubesdb-write':
        qube.db.write(first, words.slice(1).join(' '))
        return question.reply('ok')
      case 'qubesdb-rm':
        qube.db.remove(first)
        return question.reply('ok')
      case 'export-end':
        await this.#exportEnd(qube, first)
        return question.reply('ok')
      case 'read':
        return this.#read(qube, question, {
          pid: first,
          disk: second,
          skip: Number(third),
          count: Number(words[3]),
        })
      case 'temperature': {
        const found = qube.vhci?.imported().find(({ device }) => device.facts.vendorId === '08f7')
        if (found === undefined) throw new Error('no thermometer here')
        const degrees = await readTemperature(found.device, { signal: AbortSignal.timeout(READ_LIMIT) })
        return question.reply(`ok ${degrees.toFixed(2)}`)
      }
      default:
        return question.reply(`error no verb ${question.verb}`)
    }
  }

  /** A call to another qube: policy says whether, and the caller then knocks at the target's door itself. */
  async #call(qube: Qube, question: Question, pid: number, wanted: string, service: string): Promise<void> {
    // As the daemon does with what a qube sends.
    const clean = service.replace(/[^A-Za-z0-9+._-]/g, '_')
    const source = qube.domain.name
    const decision = this.#host.evaluate(source, wanted, clean)
    this.#host.log(`${source} -> ${wanted} ${clean}: ${decision.reason}`)
    if (decision.action !== 'allow') return question.reply('refused')
    const target = await this.#reach(decision)
    if (target === null) return question.reply('refused')
    this.#show(qube, pid)
    const link = this.#links.make({ frontend: source, backend: decision.target, pid })
    this.#calls.add({
      source: qube.domain.domid,
      target: target.domid,
      pid,
      link,
      exit: join(this.#callsDir, `vm.${pid}.x`),
    })
    const user = decision.user ?? 'DEFAULT'
    // At dom0's door it is also said whom the caller named: of the Admin API, the qube that the call is about.
    const what = target.domid === 0 ? `${clean} ${wanted}` : clean
    question.reply(`ok ${link.id} ${user} ${source} ${target.door} ${what}`)
  }

  /** Looks now and then, as the real proxy does: an export that ends and begins between two looks has not ended. */
  async #exportEnd(qube: Qube, port: string): Promise<void> {
    const { exportLookSeconds = EXPORT_LOOK } = qube.domain.qube
    do {
      await wait(exportLookSeconds * 1000, undefined, { ref: false })
    } while (qube.backend?.plugged.get(port)?.status === 2)
  }

  /** Where an allowed call knocks, from the lab's directory; null where nobody is there. */
  async #reach(decision: Decision): Promise<{ domid: number; door: string } | null> {
    const { target, autostart } = decision
    const { dir, dom0Door } = layOut(this.#host.dir)
    if (target === 'dom0') return { domid: 0, door: relative(dir, dom0Door) }
    const domain = this.#host.domain(target) ?? (autostart ? await this.#host.autostart(target) : null)
    return domain === null ? null : { domid: domain.domid, door: `dom0/run/qubes/qrexec.${domain.domid}` }
  }

  async #read(
    qube: Qube,
    question: Question,
    what: { pid: string; disk: string; skip: number; count: number },
  ): Promise<void> {
    const { pid, disk, skip, count } = what
    if (!/^[0-9]+$/.test(pid) || !Number.isSafeInteger(skip) || !Number.isSafeInteger(count) || count < 1) {
      throw new Error('not a range of blocks')
    }
    const data = await readDisk(qube, disk, skip, count)
    const file = join(this.#callsDir, `data.${pid}`)
    writeFileSync(file, data, { mode: 0o600 })
    question.reply(`ok ${file}`)
  }

  #show(qube: Qube, pid: number): void {
    if (!Number.isSafeInteger(pid) || pid < 2) return
    qube.showProcess(pid)
    this.#shown.set(pid, qube)
  }

  #endCall(call: OpenCall): void {
    this.#calls.delete(call)
    this.#links.callerEnded(call.link)
  }

  #sweep(): void {
    for (const call of this.#calls) {
      if (!isAlive(call.pid)) this.#endCall(call)
    }
    for (const [pid, qube] of this.#shown) {
      if (isAlive(pid)) continue
      this.#shown.delete(pid)
      removeIfThere(join(qube.root, 'proc', String(pid)))
    }
  }

  close(): void {
    clearInterval(this.#timer)
  }
}

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`)

function removeIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // The qube has been started anew, with a new tree.
  }
}

/** Blocks of a disk: over USB/IP where it is imported, from the device itself where it is plugged. */
async function readDisk(qube: Qube, disk: string, skip: number, count: number): Promise<Buffer> {
  const storage = qube.vhci?.storage(disk)
  if (storage) return storage.readBlocks(skip, count, { signal: AbortSignal.timeout(READ_LIMIT) })
  const local = qube.backend?.readLocal(disk, skip, count)
  if (!local) throw new Error('No such file or directory')
  return local
}
