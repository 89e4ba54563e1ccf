import { QusbError } from '../../errors.ts'
import type { Device } from '../../model/device.ts'
import { formatVidPid } from '../../model/identity.ts'
import type { QubeName } from '../../model/names.ts'
import type { Port } from '../../model/port.ts'
import type { Site } from '../../site/site.ts'
import type { QrexecResult } from '../qrexec.ts'
import { AdminError } from './admin-error.ts'
import { askForDevices } from './ask.ts'
import { callAdmin } from './call.ts'
import { formatDeviceArg } from './device-id.ts'
import { formatProperties } from './properties.ts'

interface Place {
  backend: QubeName
  port: Port
  frontend: QubeName
}

/**
 * `admin.vm.device.usb.Attach`: qubesd sets its own policy line, calls the frontend's service and takes the line away.
 * Always `manual`: only then does it heed the deny list (docs/facts.md#deny-lists).
 * @param device what was chosen: qubesd must offer the same
 * @returns how the call ended, in the terms of a call over qrexec
 * @throws QusbError CONFLICT or NOT_FOUND when qubesd knows another device there, or none; REFUSED when policy kept the
 * call from coming to qubesd
 */
export async function attachByAdmin(
  site: Site,
  { backend, port, frontend, device, timeoutMs }: Place & { device: Device; timeoutMs: number },
): Promise<QrexecResult> {
  const deviceId = await askForId(site, { backend, port }, device)
  // Qubes 4.2 knows no identities.
  const id = deviceId === null ? null : formatDeviceArg(deviceId)
  const payload =
    id === null
      ? ''
      : formatProperties({
          device_id: id === '_' || deviceId === null ? '*' : deviceId,
          port_id: port,
          devclass: 'usb',
          backend_domain: backend,
          mode: 'manual',
          frontend_domain: frontend,
        })
  return await asResult(
    callAdmin(site, {
      method: 'admin.vm.device.usb.Attach',
      arg: `${backend}+${port}${id === null ? '' : `+${id}`}`,
      dest: frontend,
      payload,
      timeoutMs,
    }),
  )
}

/**
 * `admin.vm.device.usb.Detach`, whatever is at the port.
 * @throws QusbError REFUSED when policy kept the call from coming to qubesd; never for what that says
 */
export async function detachByAdmin(
  site: Site,
  { backend, port, frontend, timeoutMs }: Place & { timeoutMs: number },
): Promise<QrexecResult> {
  const detach = async (arg: string): Promise<Buffer> =>
    await callAdmin(site, { method: 'admin.vm.device.usb.Detach', arg, dest: frontend, timeoutMs })
  return await asResult(
    detach(`${backend}+${port}+_`).catch(async (error: unknown) => {
      // Qubes 4.2 takes no identity.
      if (error instanceof AdminError && error.type === 'empty') return await detach(`${backend}+${port}`)
      throw error
    }),
  )
}

/** What qubesd calls the device at the port; null in Qubes 4.2. @throws QusbError */
async function askForId(
  site: Site,
  { backend, port }: Pick<Place, 'backend' | 'port'>,
  device: Device,
): Promise<string | null> {
  const { entries } = await askForDevices({ site }, backend, port)
  const offered = entries.find((entry) => entry.port === port)
  if (offered === undefined) {
    throw new QusbError('NOT_FOUND', `qubesd does not know of a device at ${backend}:${port}`, {
      hint: 'Attach it without --via admin, or wait until qubesd has seen it.',
    })
  }
  const { identity } = offered
  if (identity !== null && formatVidPid(identity) !== formatVidPid(device)) {
    throw new QusbError(
      'CONFLICT',
      `${backend}:${port} is ${formatVidPid(device)} to ${backend}, and ${formatVidPid(identity)} to qubesd`,
      { hint: 'Wait until qubesd has seen the device that is there now, and try again.' },
    )
  }
  return offered.deviceId
}

/**
 * Exceptions in the terms of a call over qrexec (docs/facts.md#exit-codes), so that both are explained in one place.
 */
async function asResult(call: Promise<Buffer>): Promise<QrexecResult> {
  try {
    await call
    return { end: 'exit', exitCode: 0, stdout: Buffer.alloc(0), stderr: undefined }
  } catch (error) {
    if (!(error instanceof AdminError) || error.type === 'policy') throw error
    const ended = { stdout: Buffer.alloc(0), stderr: error.message, failure: error.code }
    if (error.type === 'timeout') return { end: 'timeout', exitCode: null, ...ended }
    // What is no answer of qubesd's says nothing of the frontend.
    const unheard = error.type === 'malformed' || error.type === 'unreachable'
    const exitCode = unheard ? 1 : (EXIT_CODES[error.code] ?? 1)
    return { end: 'exit', exitCode, ...ended }
  }
}

const EXIT_CODES: Partial<Record<AdminError['code'], number>> = {
  NOT_RUNNING: 125,
  REFUSED: 126,
  NO_PROXY: 127,
}
