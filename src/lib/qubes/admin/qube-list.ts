import { DOM0, parseQubeName, type QubeName } from '../../model/names.ts'

/** A qube as qubesd knows it. */
export interface KnownQube {
  name: QubeName
  /** `AppVM`, `DispVM`, `TemplateVM`, …; later versions may have others. */
  class: string
  /**
   * running: takes calls, or will in a moment. paused: nothing in it runs, as in a preloaded disposable; to be left
   * alone. halted: not there. changing: on its way up or down.
   */
  state: 'running' | 'paused' | 'halted' | 'changing'
}

/** More qubes than any machine has. */
const LIMIT = 4096

/** The states of core-admin (qubes/vm/qubesvm.py, `get_power_state`); any other is one that takes no calls. */
const STATES: Readonly<Record<string, KnownQube['state']>> = {
  Running: 'running',
  Paused: 'paused',
  Suspended: 'paused',
  Halted: 'halted',
  Crashed: 'halted',
  Transient: 'changing',
  Halting: 'changing',
  Dying: 'changing',
}

/**
 * Reads the answer to admin.vm.List: lines `NAME class=AppVM state=Running`. dom0 is left out; what is no such line
 * is dropped.
 */
export function parseQubeList(text: string): Map<QubeName, KnownQube> {
  const qubes = new Map<QubeName, KnownQube>()
  for (const line of text.split('\n', LIMIT)) {
    const [word = '', ...fields] = line.slice(0, 512).split(' ')
    const name = parseQubeName(word)
    if (name === undefined || name === DOM0) continue
    const value = (key: string): string | undefined =>
      fields.find((field) => field.startsWith(`${key}=`))?.slice(key.length + 1)
    const kind = value('class')
    const state = value('state')
    if (!fields.every((field) => /^[a-z_]+=/.test(field))) continue
    if (kind === undefined || state === undefined || !/^[A-Za-z]{1,32}$/.test(kind)) continue
    qubes.set(name, {
      name,
      class: kind,
      state: Object.hasOwn(STATES, state) ? (STATES[state] ?? 'halted') : 'halted',
    })
  }
  return qubes
}
