import { DOM0, parseQubeName, type QubeName } from '../../model/names.ts'
import type { Site } from '../../site/site.ts'
import { AdminError } from './admin-error.ts'
import { callAdmin } from './call.ts'
import type { Connections } from './connections.ts'
import {
  type Assignment,
  type HeldDevice,
  isUsbController,
  type Lines,
  type OfferedDevice,
  parseAvailable,
  parseDenied,
  parseHeld,
  readAssignments,
  readHeld,
  readOffered,
} from './device-lines.ts'
import type { Limit } from './limit.ts'
import { type KnownQube, parseQubeList } from './qube-list.ts'
import type { AdminCall } from './request.ts'

const NOTHING: Lines<OfferedDevice> = { entries: [], rejected: 0 }

/** How a question is put: where, and until when. */
export interface Asking {
  site: Site
  signal?: AbortSignal
  /** For each call, ms. */
  timeoutMs?: number
  /** For all calls together, in place of the two. */
  limit?: Limit
  /** Keeps the connections of all who ask few; left out, a call is made at once. */
  connections?: Connections
  /** Whose words qubesd was found to know, for all who ask it; left out, each call finds out. */
  generation?: Generation
}

/** Which of the two generations answered. */
export interface Generation {
  older: boolean
}

async function ask(
  { site, signal, timeoutMs, limit, connections }: Asking,
  call: AdminCall,
): Promise<string> {
  const exchange = async (): Promise<Buffer> =>
    await callAdmin(site, {
      ...call,
      ...(limit === undefined ? {} : { limit }),
      ...(signal === undefined ? {} : { signal }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    })
  return (await (connections?.whenFree(exchange) ?? exchange())).toString('utf8')
}

/**
 * Asks for lines: each of them ends, so that an answer that breaks off is told from a whole one (docs/facts.md#answers).
 * @throws AdminError
 */
async function askLines(asking: Asking, call: AdminCall): Promise<string> {
  const text = await ask(asking, call)
  if (text === '' || text.endsWith('\n')) return text
  throw new AdminError('malformed', `what qubesd answers to ${call.method} breaks off`, {})
}

/**
 * Asks in the words of Qubes 4.3, and where qubesd does not know them in those of Qubes 4.2; whichever were known the last
 * time come first.
 */
async function askEither(asking: Asking, newer: AdminCall, older: AdminCall): Promise<string> {
  const { generation = { older: false } } = asking
  const [first, second] = generation.older ? [older, newer] : [newer, older]
  try {
    return await askLines(asking, first)
  } catch (error) {
    if (!(error instanceof AdminError) || !isUnknownCall(error)) throw error
    const answer = await askLines(asking, second)
    // Only an answer proves it: a call that is refused looks like one that is not known.
    generation.older = second === older
    return answer
  }
}

/** Disposables come and go: one that is gone since the list was made has nothing. */
async function unlessGone<T>(asked: Promise<T>, nothing: T): Promise<T> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof AdminError && error.code === 'NOT_FOUND') return nothing
    throw error
  }
}

/** A call that qubesd does not know gets an empty answer (core-admin, qubes/api: ProtocolError). */
function isUnknownCall(error: AdminError): boolean {
  return error.type === 'empty' || error.type === 'ProtocolError' || error.type === 'PermissionDenied'
}

/** Every qube, and whether it runs. @throws AdminError */
export async function askForQubes(asking: Asking): Promise<Map<QubeName, KnownQube>> {
  return parseQubeList(await askLines(asking, { method: 'admin.vm.List' }))
}

/** What the qubes have, or will when they are started, of the PCI devices of dom0: their addresses. @throws AdminError */
async function askForPci(asking: Asking, qubes: readonly KnownQube[]): Promise<Map<QubeName, string[]>> {
  const held = qubes.map(async ({ name, state }): Promise<[QubeName, string[]]> => {
    const method = state === 'halted' ? 'admin.vm.device.pci.Assigned' : 'admin.vm.device.pci.Attached'
    const older = { method: 'admin.vm.device.pci.List', dest: name } as const
    const { entries } = parseHeld(await unlessGone(askEither(asking, { method, dest: name }, older), ''))
    return [name, entries.filter(({ backend }) => backend === DOM0).map(({ portId }) => portId)]
  })
  return new Map(await Promise.all(held))
}

/** The addresses of dom0's USB controllers. @throws AdminError */
async function askForControllers(asking: Asking): Promise<Set<string>> {
  const { entries } = parseAvailable(await askLines(asking, { method: 'admin.vm.device.pci.Available' }))
  return new Set(entries.filter(isUsbController).map(({ portId }) => portId))
}

/** Of these running qubes, those that publish USB devices. @throws AdminError */
async function askForPublishing(asking: Asking, running: readonly KnownQube[]): Promise<Set<QubeName>> {
  const names = running.map(async ({ name }) => {
    const { entries } = await unlessGone(askForDevices(asking, name), NOTHING)
    return entries.length > 0 ? [name] : []
  })
  return new Set((await Promise.all(names)).flat())
}

/**
 * The qubes that have USB devices to give: those with a USB controller, and those that publish devices. Paused ones, and
 * templates that are not running, are left alone; a halted one whose controllers others have has nothing to give.
 *
 * A controller is with one running qube at most, so that as soon as the holder of each is known nobody else is asked for it.
 * @param usual those that are looked into in any case: it is for them to say what they publish
 * @throws AdminError
 */
export async function askForBackends(
  asking: Asking,
  qubes: readonly KnownQube[],
  usual: ReadonlySet<QubeName> = new Set(),
): Promise<{ running: QubeName[]; halted: QubeName[] }> {
  const running = qubes.filter(({ state }) => state === 'running')
  const halted = qubes.filter(({ state, class: kind }) => state === 'halted' && kind !== 'TemplateVM')
  const likely = running.filter(({ name }) => usual.has(name))
  const others = running.filter(({ name }) => !usual.has(name))
  const [[controllers, pci], publishing] = await Promise.all([
    Promise.all([askForControllers(asking), askForPci(asking, likely)]),
    askForPublishing(asking, others),
  ])
  const free = new Set(controllers)
  const take = (held: ReadonlyMap<QubeName, readonly string[]>): void => {
    for (const { name } of running) for (const address of held.get(name) ?? []) free.delete(address)
  }
  take(pci)
  if (free.size > 0) {
    for (const [name, held] of await askForPci(asking, [...others, ...halted])) pci.set(name, held)
    take(pci)
  }
  const has = (name: QubeName, of: ReadonlySet<string>): boolean =>
    pci.get(name)?.some((address) => of.has(address)) === true
  return {
    running: running.map(({ name }) => name).filter((name) => has(name, controllers) || publishing.has(name)),
    halted: halted.map(({ name }) => name).filter((name) => has(name, free)),
  }
}

/**
 * The qube that this one is based on: for a disposable its disposable template.
 * @returns undefined where it is based on none
 * @throws AdminError
 */
export async function askForTemplate(asking: Asking, dest: QubeName): Promise<QubeName | undefined> {
  try {
    const answer = await ask(asking, { method: 'admin.vm.property.Get', dest, arg: 'template' })
    // `default=False type=vm debian-12`
    return parseQubeName(/^default=[A-Za-z]+ type=vm ([^ ]+)$/.exec(answer.trim())?.[1] ?? '')
  } catch (error) {
    if (error instanceof AdminError && error.code !== 'TIMEOUT' && error.code !== 'NOT_RUNNING')
      return undefined
    throw error
  }
}

/** Switches a service of a qube on or off, as qvm-service does. @throws AdminError */
export async function setService(
  asking: Asking,
  dest: QubeName,
  service: string,
  on: boolean,
): Promise<void> {
  await ask(asking, {
    method: 'admin.vm.feature.Set',
    dest,
    arg: `service.${service}`,
    payload: on ? '1' : '',
  })
}

/** What qubesd says that a qube offers. @throws AdminError */
export async function askForDevices(
  asking: Asking,
  backend: QubeName,
  port = '',
): Promise<Lines<OfferedDevice>> {
  const text = await askLines(asking, { method: 'admin.vm.device.usb.Available', dest: backend, arg: port })
  return readOffered(parseAvailable(text))
}

/** What qubesd says that a qube has from others. @throws AdminError */
export async function askForHeld(asking: Asking, frontend: QubeName): Promise<Lines<HeldDevice>> {
  const newer = { method: 'admin.vm.device.usb.Attached', dest: frontend } as const
  const older = { method: 'admin.vm.device.usb.List', dest: frontend } as const
  return readHeld(parseHeld(await unlessGone(askEither(asking, newer, older), '')))
}

/** What qubesd will attach to these qubes by itself. @throws AdminError */
export async function askForAssignments(
  asking: Asking,
  frontends: readonly QubeName[],
): Promise<Lines<Assignment>> {
  const answers = await Promise.all(
    frontends.map(async (dest) =>
      readAssignments(
        dest,
        parseHeld(
          await unlessGone(
            askEither(
              asking,
              { method: 'admin.vm.device.usb.Assigned', dest },
              { method: 'admin.vm.device.usb.List', dest },
            ),
            '',
          ),
        ),
      ),
    ),
  )
  return {
    entries: answers.flatMap(({ entries }) => entries),
    rejected: answers.reduce((sum, { rejected }) => sum + rejected, 0),
  }
}

/** The interface codes that a qube is denied; none in Qubes 4.2, which has no such list. @throws AdminError */
export async function askForDenied(asking: Asking, qube: QubeName): Promise<string[]> {
  try {
    const denied = parseDenied(await ask(asking, { method: 'admin.vm.device.denied.List', dest: qube }))
    // What is forbidden and cannot be read must not come to be allowed.
    if (denied === undefined)
      throw new AdminError('malformed', `qubesd tells nonsense of what ${qube} is denied`, {})
    return denied
  } catch (error) {
    if (error instanceof AdminError && isUnknownCall(error)) return []
    throw error
  }
}
