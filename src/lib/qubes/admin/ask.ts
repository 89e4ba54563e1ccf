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
import { type KnownQube, parseQubeList } from './qube-list.ts'
import type { AdminCall } from './request.ts'

const NOTHING: Lines<OfferedDevice> = { entries: [], rejected: 0 }

/** How a question is put: where, and until when. */
export interface Asking {
  site: Site
  signal?: AbortSignal
  /** For each call, ms. */
  timeoutMs?: number
  /** Keeps the connections of all who ask few; left out, a call is made at once. */
  connections?: Connections
}

async function ask({ site, signal, timeoutMs, connections }: Asking, call: AdminCall): Promise<string> {
  const exchange = async (): Promise<Buffer> =>
    await callAdmin(site, {
      ...call,
      ...(signal === undefined ? {} : { signal }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    })
  return (await (connections?.whenFree(exchange) ?? exchange())).toString('utf8')
}

/** Asks in the words of Qubes 4.3, and where qubesd does not know them in those of Qubes 4.2. */
async function askEither(asking: Asking, call: AdminCall, older: AdminCall): Promise<string> {
  try {
    return await ask(asking, call)
  } catch (error) {
    if (!(error instanceof AdminError) || !isUnknownCall(error)) throw error
    return await ask(asking, older)
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
  return parseQubeList(await ask(asking, { method: 'admin.vm.List' }))
}

/** Which of these qubes have a USB controller, or will when they are started. @throws AdminError */
async function askForControllers(asking: Asking, qubes: readonly KnownQube[]): Promise<Set<QubeName>> {
  const [available, held] = await Promise.all([
    ask(asking, { method: 'admin.vm.device.pci.Available' }),
    Promise.all(
      qubes.map(async ({ name, state }) => {
        const method =
          state === 'halted' ? 'admin.vm.device.pci.Assigned' : ('admin.vm.device.pci.Attached' as const)
        const older = { method: 'admin.vm.device.pci.List', dest: name } as const
        return await unlessGone(askEither(asking, { method, dest: name }, older), '')
      }),
    ),
  ])
  const controllers = new Set(
    parseAvailable(available)
      .entries.filter(isUsbController)
      .map(({ portId }) => portId),
  )
  return new Set(
    qubes.flatMap(({ name }, i) => {
      const { entries } = parseHeld(held[i] ?? '')
      return entries.some((entry) => entry.backend === DOM0 && controllers.has(entry.portId)) ? [name] : []
    }),
  )
}

/**
 * The qubes that have USB devices to give: those with a USB controller, and those that publish devices. Paused ones, and
 * templates that are not running, are left alone.
 * @throws AdminError
 */
export async function askForBackends(
  asking: Asking,
  qubes: readonly KnownQube[],
): Promise<{ running: QubeName[]; halted: QubeName[] }> {
  const running = qubes.filter(({ state }) => state === 'running')
  const halted = qubes.filter(({ state, class: kind }) => state === 'halted' && kind !== 'TemplateVM')
  const [controllers, publishing] = await Promise.all([
    askForControllers(asking, [...running, ...halted]),
    Promise.all(
      running.map(async ({ name }) => {
        const { entries } = await unlessGone(askForDevices(asking, name), NOTHING)
        return entries.length > 0
      }),
    ),
  ])
  return {
    running: running
      .filter(({ name }, i) => controllers.has(name) || publishing[i] === true)
      .map(({ name }) => name),
    halted: halted.filter(({ name }) => controllers.has(name)).map(({ name }) => name),
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
  const text = await ask(asking, { method: 'admin.vm.device.usb.Available', dest: backend, arg: port })
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
    return parseDenied(await ask(asking, { method: 'admin.vm.device.denied.List', dest: qube }))
  } catch (error) {
    if (error instanceof AdminError && isUnknownCall(error)) return []
    throw error
  }
}
