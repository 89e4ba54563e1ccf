import { QusbError } from '../errors.ts'
import { type Device, isSame } from '../model/device.ts'
import type { QubeName } from '../model/names.ts'
import type { QrexecResult } from '../qubes/qrexec.ts'
import type { QubeSurvey } from '../qubes/survey.ts'
import { isFree, portsFor } from './free-port.ts'
import { deviceAt, frontendFacts, type Look } from './look.ts'

/** Refuses for lack of the USB proxy. */
export function noProxy(qube: QubeName, role: 'frontend' | 'backend', detail?: string): QusbError {
  return new QusbError('NO_PROXY', `${qube} (${role}) has no USB proxy`, {
    hint: `Install the package qubes-usb-proxy in the template of ${qube}, then restart ${qube}.`,
    ...(detail === undefined ? {} : { detail }),
  })
}

/**
 * What an attach lacks that can be seen beforehand: the proxy's own failures are mostly silent
 * (docs/facts.md#silent-failures).
 * @param frontend null for a stub domain, which cannot be surveyed
 * @throws QusbError
 */
export function requireProxies(backend: QubeSurvey, frontend: QubeSurvey | null): void {
  if (backend.byQubesd === undefined && !backend.proxy.usbExport) throw noProxy(backend.qube, 'backend')
  if (frontend !== null && !frontend.proxy.usbAttach) throw noProxy(frontend.qube, 'frontend')
}

/** How many ports usbip-host can ever have exported; MAX_BUSID in Linux, drivers/usb/usbip/stub.h. */
const EXPORT_SLOTS = 16

/**
 * Linux keeps each port that was ever exported in a table and frees no entry while its module is loaded: the proxy
 * would fail without a word that reaches us.
 * @throws QusbError ATTACH_FAILED
 */
export function requireExportSlot(device: Device, { exportSlots }: QubeSurvey): void {
  if (exportSlots.length < EXPORT_SLOTS || exportSlots.includes(device.port)) return
  throw new QusbError(
    'ATTACH_FAILED',
    `${device.backend} has given away devices at ${exportSlots.length} ports, and its kernel cannot give away one at yet another (${device.port})`,
    {
      hint: `Plug the device into one of those ports (${exportSlots.slice(0, 5).join(', ')}, …), or restart ${device.backend}.`,
    },
  )
}

/**
 * Why an attach did not come through, from what was seen before, how the call ended and what is seen now.
 * @param seen after the call
 */
export function explainFailure(
  chosen: Device,
  frontend: QubeName,
  result: QrexecResult,
  seen: Look,
  timeoutMs: number,
): QusbError {
  const at = `${chosen.backend}:${chosen.port}`
  const detail = result.stderr === undefined ? {} : { detail: result.stderr }
  const survey = seen.surveys.get(chosen.backend)
  const now = deviceAt(survey, chosen.port)

  if (result.end === 'timeout') {
    return new QusbError(
      'TIMEOUT',
      `attaching ${at} to ${frontend} was not finished within ${timeoutMs / 1000} s`,
      {
        hint: 'Try again with a longer --timeout, or look at both qubes.',
        ...detail,
      },
    )
  }
  if (result.end === 'exit' && result.exitCode === 125) {
    return new QusbError(
      'NOT_RUNNING',
      `no connection to ${frontend}: it is halted or paused, or its agent does not answer`,
      {
        hint: `Start it: qvm-start ${frontend}`,
        ...detail,
      },
    )
  }
  const gone = seen.failures.get(chosen.backend) ?? seen.failures.get(frontend)
  if (gone !== undefined) {
    return new QusbError(gone.code, `${at} was not attached to ${frontend}: ${gone.message}`, {
      ...(gone.hint === undefined ? {} : { hint: gone.hint }),
      ...detail,
    })
  }
  if (survey !== undefined && (now === undefined || !isSame(now, chosen))) {
    return new QusbError('NOT_FOUND', `${at} was unplugged meanwhile`, {
      hint: `See what is there: qusb list ${chosen.backend}`,
      ...detail,
    })
  }
  if (now !== undefined && now.attachedTo !== null && now.attachedTo !== frontend) {
    return new QusbError('CONFLICT', `${at} was attached to ${now.attachedTo} meanwhile`, {
      hint: `Detach it first: qusb detach ${chosen.backend} ${chosen.port}`,
      ...detail,
    })
  }
  if (result.end === 'exit' && result.exitCode === 127) return noProxy(frontend, 'frontend', result.stderr)
  if (result.end === 'exit' && result.exitCode === 126) {
    return new QusbError('REFUSED', `the Qubes policy refused ${frontend} the device ${at}`, {
      hint: 'A rule of yours denies qubes.USB, or a policy file has an error, which denies every call: look in /etc/qubes/policy.d.',
      ...detail,
    })
  }
  if (portsFor(chosen, frontendFacts(seen, frontend))?.some(isFree) === false) {
    return new QusbError('ATTACH_FAILED', `${frontend} could not attach ${at}: it has no free port left`, {
      hint: 'Detach something from it first: qusb list --attached',
      ...detail,
    })
  }
  const code = result.failure === 'CONFLICT' ? 'CONFLICT' : 'ATTACH_FAILED'
  return new QusbError(code, `${frontend} could not attach ${at}`, {
    hint: `Look at the kernel logs of ${frontend} and ${chosen.backend} (journalctl -k).`,
    detail: result.stderr ?? `the USB proxy gave no reason (exit code ${result.exitCode ?? 'unknown'})`,
  })
}
