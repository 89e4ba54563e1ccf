import type { QubeName } from '../../model/names.ts'
import { noProxy } from '../../passthrough/explain.ts'
import { isFree } from '../../passthrough/free-port.ts'
import { warningsOf } from '../../passthrough/look.ts'
import type { QubeSurvey } from '../../qubes/survey.ts'
import {
  type Check,
  type Examination,
  type Finding,
  faultIn,
  faultOf,
  orWell,
  unseen,
  warn,
  well,
} from '../check.ts'

export const backendsCheck: Check = {
  id: 'backends',
  title: 'USB qubes',
  about: 'Whether any is known and runs.',
  run: ({ backends, backendsFault }) =>
    backendsFault === undefined ? [well(backends.join(', '))] : [faultOf(backendsFault)],
}

export const answersCheck: Check = {
  id: 'answers',
  title: 'qubes answer',
  about: 'Whether the qubes that run answer.',
  run: (examination) => {
    const { qubes, seen } = examination
    const findings = qubes.flatMap((qube): Finding[] => {
      const survey = seen.surveys.get(qube)
      if (survey !== undefined) {
        return warningsOf(survey).map(({ message, hint }) => warn(message, { qube, fix: hint }))
      }
      const failure = seen.failures.get(qube)
      return failure === undefined
        ? []
        : [faultIn(examination, qube, failure.code, failure.message, { fix: failure.hint ?? null })]
    })
    const unasked = qubes.filter((qube) => !seen.surveys.has(qube) && !seen.failures.has(qube))
    const asked = qubes.filter((qube) => !unasked.includes(qube)).join(', ')
    const apart = unasked.length === 0 ? '' : `; ${unasked.join(', ')}: there, and not looked into from here`
    return orWell(findings, `${asked}${apart}`)
  },
}

/** Those that were asked and answered, as frontends: a stub domain stands in for its qube, and cannot be asked. */
function frontendsOf({ qubes, backends, seen, sockets }: Examination): QubeSurvey[] {
  return qubes
    .filter((name) => !backends.includes(name) && sockets.get(name)?.stubdom !== true)
    .flatMap((name) => seen.surveys.get(name) ?? [])
}

function backendsOf({ qubes, backends, seen }: Examination): QubeSurvey[] {
  return qubes
    .filter((name) => backends.includes(name))
    .flatMap((name) => seen.surveys.get(name) ?? [])
    .filter(({ byQubesd }) => byQubesd === undefined)
}

export const proxyCheck: Check = {
  id: 'usb-proxy',
  title: 'USB proxy',
  about: 'Whether its services are there, on either side.',
  run: (examination) => {
    const lacking = [
      ...backendsOf(examination)
        .filter(({ proxy }) => !proxy.usbExport || !proxy.usbDetach)
        .map((survey) => ({ survey, role: 'backend' as const })),
      ...frontendsOf(examination)
        .filter(({ proxy }) => !proxy.usbAttach || !proxy.usbDetach)
        .map((survey) => ({ survey, role: 'frontend' as const })),
    ]
    const findings = lacking.map(({ survey: { qube, proxy }, role }) => {
      const { message, hint } = noProxy(qube, role)
      const isWhole = !proxy.usbDetach && !proxy.usbAttach && !proxy.usbExport
      const part = proxy.usbDetach
        ? role === 'backend'
          ? 'qubes.USB'
          : 'qubes.USBAttach'
        : 'qubes.USBDetach'
      const words = isWhole ? message : `${qube} (${role}) lacks ${part} of the USB proxy`
      const found = faultIn(examination, qube, 'NO_PROXY', words, { fix: hint ?? null })
      // Not every qube is to get USB devices; a USB qube is there to give them.
      return role === 'backend' ? { ...found, state: 'error' as const, code: 'NO_PROXY' as const } : found
    })
    const where = examination.management
      ? 'in the USB qubes; frontends are not looked into from here'
      : 'on both sides'
    return orWell([...findings, ...unseen(examination, 'has the USB proxy')], where)
  },
}

/** The kernel's module in a frontend, and what room it has. */
export const portsCheck: Check = {
  id: 'vhci-ports',
  only: 'dom0',
  title: 'virtual USB ports',
  about: 'Whether the kernel of a frontend has its virtual controller, and ports free for USB 2 and USB 3.',
  run: (examination) => {
    const findings = frontendsOf(examination).flatMap((survey) => findPortFaults(examination, survey))
    return orWell(findings, 'every frontend has free ones for USB 2 and USB 3')
  },
}

function findPortFaults(examination: Examination, { qube, asFrontend }: QubeSurvey): Finding[] {
  // Of a qube that cannot be looked into nobody knows.
  if (asFrontend === null) return []
  const { vhci } = asFrontend
  if (vhci === null) {
    return [
      faultIn(
        examination,
        qube,
        'NO_PROXY',
        `${qube} has no virtual USB controller: the kernel module vhci-hcd is not loaded`,
        {
          fix: `See whether its kernel has it: qvm-run -u root -p ${qube} modprobe vhci-hcd`,
        },
      ),
    ]
  }
  return (['hs', 'ss'] as const).flatMap((hub) => {
    const ports = vhci.filter((row) => row.hub === hub)
    if (ports.length === 0 || ports.some(isFree)) return []
    const kind = hub === 'ss' ? 'USB 3' : 'USB 2'
    return [
      faultIn(
        examination,
        qube,
        'ATTACH_FAILED',
        `${qube} has no free port for a ${kind} device: all ${ports.length} are taken`,
        {
          fix: detachHint(qube),
        },
      ),
    ]
  })
}

const detachHint = (qube: QubeName): string => `Detach something from it: qusb detach --from ${qube}`
