import { QusbError } from '../errors.ts'
import { nextTurn } from '../host/turn.ts'
import { findAlike } from '../model/alike.ts'
import { DOM0, type QubeName } from '../model/names.ts'
import type { Asking, Generation } from '../qubes/admin/ask.ts'
import { Connections } from '../qubes/admin/connections.ts'
import { Limit } from '../qubes/admin/limit.ts'
import type { KnownQube } from '../qubes/admin/qube-list.ts'
import type { SurveyFailure } from '../qubes/survey.ts'
import type { Site } from '../site/site.ts'
import { hasQubesd, isManagementQube } from '../site/standpoint.ts'
import type { Warning } from './results.ts'

/** How long qubesd may take to tell of the qubes: what can be known without it is not held up longer, ms. */
const PATIENCE_MS = 1500
/** How long what it told counts, ms. */
const FRESH_MS = 1000
/** How long it may take for all that is asked of it beyond the list, ms: a call for each qube is many calls. */
const ALL_MS = 3000
/**
 * How long either may take in a management qube, ms: each call is a process and a turn of policy there, and without qubesd
 * nothing can be done.
 */
const FROM_AFAR_MS = 10_000
/** How long it is left alone after it did not answer, ms. */
const PAUSE_MS = 10_000

/** What should be told of qubesd; without a hint, to look at it. */
type Trouble = Pick<QusbError, 'message' | 'hint'> | { message: string; hint?: undefined }

/**
 * Which qubes there are, by qubesd's word. Where there is no qubesd, or it does not answer, nobody knows, and everything
 * works as without it.
 */
export class QubeDirectory {
  readonly #site: Site
  #asked: { at: number; answer: Promise<ReadonlyMap<QubeName, KnownQube> | undefined> } | undefined
  readonly #connections = new Connections()
  readonly #generation: Generation = { older: false }
  #quietUntil = 0
  #trouble: Trouble | undefined
  /** What was asked in vain. */
  readonly #unknown = new Set<string>()
  /** Why the last question after the qubes had no answer. */
  #failure: QusbError | undefined

  constructor(site: Site) {
    this.#site = site
  }

  /** All qubes but dom0; undefined where nobody knows. Never throws. */
  async qubes(): Promise<ReadonlyMap<QubeName, KnownQube> | undefined> {
    const now = Date.now()
    if (now < this.#quietUntil || !hasQubesd(this.#site)) return undefined
    if (this.#asked === undefined || now - this.#asked.at > FRESH_MS) {
      this.#asked = { at: now, answer: this.#ask() }
    }
    return await this.#asked.answer
  }

  /** Asks before anybody needs to know; over when the question is out, so that the caller loads what it needs meanwhile. */
  async askEarly(): Promise<void> {
    // Whoever asks next gets the same answer, or the same error.
    this.qubes().catch(() => {})
    await nextTurn()
  }

  /** Why a qube cannot be asked for anything now. @see whyNotThere */
  async whyNotThere(qube: QubeName): Promise<SurveyFailure | undefined> {
    return whyNotThere(await this.qubes(), qube, isManagementQube(this.#site))
  }

  /** What was told no longer counts: something was started or stopped. */
  forget(): void {
    this.#asked = undefined
  }

  /** What went wrong no longer counts, unless it is being waited out: for who looks again and again. */
  forgive(): void {
    if (Date.now() < this.#quietUntil) return
    this.#trouble = undefined
    this.#unknown.clear()
  }

  /** Whether the calls of qubesd are worth making. */
  async answers(): Promise<boolean> {
    return (await this.qubes()) !== undefined
  }

  /**
   * Asks for more than the list, within a limit for all of it together. Never throws: without an answer it is as without
   * qubesd, and `warnings` tells so.
   * @param what it is asked for, for the warning: `which other USB qubes there are`
   * @returns the answer, or `otherwise`
   */
  async askMore<T>(
    what: string,
    signal: AbortSignal,
    otherwise: T,
    ask: (asking: Asking, qubes: ReadonlyMap<QubeName, KnownQube>) => Promise<T>,
  ): Promise<T> {
    const qubes = await this.qubes()
    if (qubes === undefined) {
      this.#unknown.add(what)
      return otherwise
    }
    // Whoever waited for the list alone goes first: looks at qubes take longer than all that qubesd is asked.
    await nextTurn()
    const limitMs = isManagementQube(this.#site) ? FROM_AFAR_MS : ALL_MS
    const limit = new Limit(limitMs, signal)
    try {
      const asking = {
        site: this.#site,
        limit,
        connections: this.#connections,
        generation: this.#generation,
      }
      return await ask(asking, qubes)
    } catch (error) {
      if (!signal.aborted) this.#unknown.add(what)
      if (limit.ended === 'time')
        this.#trouble = { message: `qubesd did not answer all within ${limitMs / 1000} s` }
      else if (error instanceof QusbError && !signal.aborted) this.#trouble = error
      else if (!signal.aborted) throw error
      return otherwise
    } finally {
      limit.close()
    }
  }

  /** What should be said of a qubesd that is there and does not answer. */
  warnings(): Warning[] {
    if (this.#trouble === undefined) return []
    const { message, hint = this.#lookAtIt() } = this.#trouble
    const unknown = this.#unknown.size === 0 ? 'what only qubesd knows' : [...this.#unknown].join(', nor ')
    return [{ qube: null, code: 'QUBESD', message: `${message}; not known: ${unknown}`, hint }]
  }

  #lookAtIt(): string {
    return `Look at it${isManagementQube(this.#site) ? ' in dom0' : ''}: systemctl status qubesd`
  }

  /** Why nobody knows which qubes there are, where qubesd alone could tell. */
  whyUnknown(): QusbError {
    return this.#failure ?? new QusbError('NOT_RUNNING', 'qubesd does not tell which qubes there are')
  }

  async #ask(): Promise<ReadonlyMap<QubeName, KnownQube> | undefined> {
    const { askForQubes } = await import('../qubes/admin/ask.ts')
    try {
      const timeoutMs = isManagementQube(this.#site) ? FROM_AFAR_MS : PATIENCE_MS
      const qubes = await askForQubes({ site: this.#site, timeoutMs })
      // A qubesd that knows no qube is none.
      return qubes.size === 0 ? undefined : qubes
    } catch (error) {
      this.#quietUntil = Date.now() + PAUSE_MS
      if (!(error instanceof QusbError)) throw error
      const { AdminError } = await import('../qubes/admin/admin-error.ts')
      // One that cannot be reached (not started yet, or not for this user) is as good as none, in dom0.
      const isThere = !(error instanceof AdminError && error.type === 'unreachable')
      if (isThere || isManagementQube(this.#site)) this.#trouble = error
      this.#failure = error
      return undefined
    }
  }
}

/**
 * Why a qube cannot be asked for anything, as far as qubesd knows; undefined where nothing speaks against it. A paused
 * qube, a preloaded disposable for one, is to be left alone.
 * @param hidden whether there may be qubes that qubesd does not tell of here: in a management qube
 */
export function whyNotThere(
  qubes: ReadonlyMap<QubeName, KnownQube> | undefined,
  qube: QubeName,
  hidden = false,
): SurveyFailure | undefined {
  if (qubes === undefined || qube === DOM0) return undefined
  const known = qubes.get(qube)
  if (known === undefined) {
    const like = findAlike(qube, qubes.keys())
    return {
      qube,
      code: 'NOT_FOUND',
      message: `there is no qube "${qube}"${hidden ? ', or policy does not let this one list it' : ''}`,
      hint: like === undefined ? 'qvm-ls lists the qubes.' : `Did you mean ${like}?`,
    }
  }
  switch (known.state) {
    case 'halted':
      return {
        qube,
        code: 'NOT_RUNNING',
        message: `${qube} is halted`,
        hint: `Start it: qvm-start ${qube}`,
      }
    case 'paused':
      return {
        qube,
        code: 'NOT_RUNNING',
        message: `${qube} is paused`,
        hint:
          known.class === 'DispVM'
            ? 'A disposable that is paused waits to be used: leave it alone.'
            : `Let it go on: qvm-unpause ${qube}`,
      }
    default:
      return undefined
  }
}
