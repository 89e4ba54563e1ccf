import type { QubeName } from '../model/names.ts'
import { assignmentOf, findAssignments } from '../passthrough/assignments.ts'
import type { Context } from '../passthrough/context.ts'
import type { Sighting } from '../passthrough/watch.ts'
import type { Assignment } from '../qubes/admin/device-lines.ts'
import type { Plugging } from './plugging.ts'

/** How long qubesd has for its own assignments once a device is there and a qube runs, ms. */
const TURN_MS = 4000
/** How long what it said of them counts, ms. */
const FRESH_MS = 60_000

/** When a qube was first seen as it is. */
interface Seen {
  domain: number | null
  at: number
}

/**
 * Whose turn it is. What the user assigned in qubesd, qubesd attaches by itself when the device comes and when the qube
 * starts: the rules wait and look first. What it asks the user about is left to it for good.
 */
export class QubesdTurn {
  readonly #context: Context
  #assignments: readonly Assignment[] = []
  #askedAt = Number.NEGATIVE_INFINITY
  readonly #running = new Map<QubeName, Seen>()
  #first = true

  constructor(context: Context) {
    this.#context = context
  }

  /**
   * Takes note of what runs; asks for the assignments, the first time before anything is decided.
   * @returns whether a qube has started since the last look
   */
  async see({ sight }: Sighting): Promise<boolean> {
    const now = Date.now()
    let hasStarted = false
    for (const [name, { state, domainId }] of sight.qubes) {
      if (state !== 'running') this.#running.delete(name)
      else if (this.#running.get(name)?.domain !== domainId) {
        hasStarted = true
        this.#running.set(name, { domain: domainId, at: this.#first ? Number.NEGATIVE_INFINITY : now })
      }
    }
    if (sight.qubesBy === 'qubesd' && now - this.#askedAt > FRESH_MS) {
      this.#askedAt = now
      const asking = findAssignments(this.#context).then((assignments) => {
        this.#assignments = assignments
      })
      // Later ones come while devices are attended to.
      if (this.#first) await asking
    }
    this.#first = false
    return hasStarted
  }

  /** When the rules' turn comes for a device, by Date.now(): at once, after qubesd's, or never. */
  overAt({ device, since }: Plugging, frontend: QubeName): number {
    const assignment = assignmentOf(device, this.#assignments)
    if (assignment === null) return 0
    const assigned = [assignment, ...assignment.also].filter((each) => this.#running.has(each.frontend))
    if (assigned.length === 0) return 0
    if (assigned.some(({ mode }) => mode === 'ask-to-attach')) return Number.POSITIVE_INFINITY
    const starts = [...assigned.map((each) => each.frontend), frontend].map(
      (name) => this.#running.get(name)?.at ?? 0,
    )
    return Math.max(since, ...starts) + TURN_MS
  }
}
