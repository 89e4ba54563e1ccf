import { QusbError } from '../errors.ts'
import type { QubeName } from '../model/names.ts'
import type { Context } from './context.ts'
import type { Warning } from './results.ts'
import { requireRunningQubes } from './running-qubes.ts'

/** The names that USB qubes have by default: `sys-usb`, further ones, and `sys-net`, where one qube has all devices. */
const DEFAULT_NAMES = /^(sys-usb(-.+)?|sys-net)$/

/** Backends by qubesd's word: they have a USB controller, or publish USB devices. */
export interface FoundBackends {
  running: readonly QubeName[]
  /** They have a USB controller and are halted: what is plugged there is seen by nobody. */
  halted: readonly QubeName[]
}

export interface Backends {
  names: QubeName[]
  /** Not named by the user or the configuration: one of them that has no device is not worth a word. */
  guessed: boolean
  /** What qubesd adds, looked for while the others are asked. Never rejects. */
  found: Promise<FoundBackends>
}

const NONE_FOUND: FoundBackends = { running: [], halted: [] }

/** The backends that the user named, and no other. */
export function onlyBackends(names: Iterable<QubeName>): Backends {
  return { names: [...new Set(names)], guessed: false, found: Promise.resolve(NONE_FOUND) }
}

/**
 * The backends to ask when the user names none: the configured ones, else the running ones that are usually so, and
 * those that qubesd knows.
 * @throws QusbError NOT_FOUND when there is none; in a management qube, why nobody knows which run
 */
export async function findBackends(context: Context): Promise<Backends> {
  const { config, site } = context
  if (config.backends !== undefined && config.backends.length > 0) {
    return onlyBackends(config.backends)
  }
  let names = [...(await requireRunningQubes(context)).keys()]
    .filter((name) => DEFAULT_NAMES.test(name))
    .sort()
  const found = askQubesd(context, new Set(names))
  if (names.length === 0) names = [...(await found).running]
  if (names.length === 0) {
    const halted = (await found).halted
    throw new QusbError(
      'NOT_FOUND',
      halted.length === 0
        ? 'no USB qube is running: none of sys-usb, sys-usb-… or sys-net'
        : `no USB qube is running: ${halted.join(', ')} ${halted.length === 1 ? 'is' : 'are'} halted`,
      {
        hint: `Start it (qvm-start ${halted[0] ?? 'sys-usb'}), or name your USB qubes in ${site.configDir}/config.json: {"backends": ["my-usb"]}.`,
      },
    )
  }
  return { names, guessed: true, found }
}

/** @param usual those that are asked themselves in any case */
async function askQubesd(context: Context, usual: ReadonlySet<QubeName>): Promise<FoundBackends> {
  return await context.directory.askMore<FoundBackends>(
    'which other USB qubes there are',
    context.signal,
    NONE_FOUND,
    async (asking, qubes) => {
      const { askForBackends } = await import('../qubes/admin/ask.ts')
      return await askForBackends(asking, [...qubes.values()], usual)
    },
  )
}

/** What should be said of USB qubes whose devices cannot be seen. */
export function haltedWarnings({ halted }: FoundBackends): Warning[] {
  return halted.map((qube) => ({
    qube,
    code: 'HALTED',
    message: `${qube} has a USB controller and is halted: its devices are not shown`,
    hint: `Start it: qvm-start ${qube}`,
  }))
}
