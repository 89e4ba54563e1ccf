import { deviceSchema } from '../../model/device-schema.ts'
import type { QubeName } from '../../model/names.ts'
import type { QubeSurvey, SurveyFailure } from '../survey-facts.ts'
import { AdminError } from './admin-error.ts'
import { type Asking, askForDevices, askForHeld } from './ask.ts'
import type { OfferedDevice } from './device-lines.ts'
import type { KnownQube } from './qube-list.ts'

/**
 * What qubesd says of a backend that cannot be looked into: the devices that it offers, and who of the qubes has them.
 * It knows no more than that: not what dom0 types on, what is in use, nor what driver has a device.
 * @param because why the backend cannot be looked into
 * @param qubes all that there are, as far as it is told here
 * @param all whether there are no others: one that policy hides may have a device, too
 * @throws AdminError where it does not say all of that; that policy refuses to ask a qube is no error
 */
export async function surveyByAdmin(
  asking: Asking,
  because: SurveyFailure,
  qubes: readonly KnownQube[],
  all: boolean,
): Promise<QubeSurvey> {
  const backend = because.qube
  const frontends = qubes.filter(({ name, state }) => state !== 'halted' && name !== backend)
  const [offered, answers] = await Promise.all([
    askForDevices(asking, backend),
    Promise.all(frontends.map(async ({ name }) => ({ name, held: await askUnlessRefused(asking, name) }))),
  ])
  const unheard = answers.flatMap(({ name, held }) => (held === undefined ? [name] : []))
  const ports = new Map<string, number>()
  for (const { port } of offered.entries) ports.set(port, (ports.get(port) ?? 0) + 1)
  const devices = offered.entries.flatMap((device) => {
    const holders = new Set(
      answers.flatMap(({ name, held }) =>
        held?.some((each) => each.backend === backend && each.port === device.port) ? [name] : [],
      ),
    )
    if (device.attachedTo !== null) holders.add(device.attachedTo)
    const told = toDevice(backend, device, [...holders], all && unheard.length === 0)
    // A port that comes twice is dropped: nobody could tell which of the two is meant.
    return told === undefined || ports.get(device.port) !== 1 ? [] : [told]
  })
  return {
    qube: backend,
    devices,
    byQubesd: { because, unheard },
    rejected: offered.rejected + offered.entries.length - devices.length,
    truncated: false,
    asFrontend: null,
    exports: [],
    exportSlots: [],
    publishedSerials: [],
    proxy: { usbAttach: false, usbDetach: false, usbExport: false },
    ctapProxy: false,
  }
}

/** @returns undefined where policy refuses the question */
async function askUnlessRefused(
  asking: Asking,
  frontend: QubeName,
): Promise<{ backend: QubeName; port: string }[] | undefined> {
  try {
    return (await askForHeld(asking, frontend)).entries
  } catch (error) {
    if (error instanceof AdminError && error.type === 'policy') return undefined
    throw error
  }
}

/** @param certain whether a device that nobody is said to have is free */
function toDevice(
  backend: QubeName,
  { port, identity, description, manufacturer, product }: OfferedDevice,
  holders: readonly QubeName[],
  certain: boolean,
): QubeSurvey['devices'][number] | undefined {
  const [holder] = holders
  const state =
    holders.length === 1 && holder !== backend
      ? 'attached'
      : certain && holder === undefined
        ? 'free'
        : 'unknown'
  const parsed = deviceSchema.safeParse({
    backend,
    port,
    toldBy: 'qubesd',
    // A port is called after its bus.
    busnum: Number(port.split('-')[0]),
    devnum: null,
    vendorId: identity?.vendorId ?? '0000',
    productId: identity?.productId ?? '0000',
    serial: identity?.serial ?? null,
    serialUnsafe: identity?.serialUnsafe ?? false,
    manufacturer,
    // Qubes 4.2 has one text for both.
    product: product ?? (manufacturer === null && description !== '' ? description.slice(0, 200) : null),
    interfaces: identity?.interfaces ?? [],
    speed: null,
    state,
    attachedTo: state === 'attached' ? holder : null,
    driver: null,
    interfaceDrivers: [],
    hub: false,
    hidden: false,
    controller: null,
    inputForDom0: null,
    usage: null,
  })
  return parsed.success ? parsed.data : undefined
}
