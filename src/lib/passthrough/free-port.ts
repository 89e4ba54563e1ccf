import { QusbError } from '../errors.ts'
import type { Device } from '../model/device.ts'
import type { QubeName } from '../model/names.ts'
import type { FrontendFacts, VhciRow } from '../qubes/survey-facts.ts'

/** VDEV_ST_NULL (include/uapi/linux/usbip.h): nothing is at the port. */
export function isFree({ status }: Pick<VhciRow, 'status'>): boolean {
  return status === 4
}

/**
 * The ports of a frontend that a device can be given: USB 3 devices need one of the `ss` hub, all others one of `hs`.
 * @returns undefined where nobody knows which ports there are
 */
export function portsFor(device: Device, frontend: FrontendFacts | undefined): VhciRow[] | undefined {
  return frontend?.vhci?.filter((row) => row.hub === (isUsb3(device) ? 'ss' : 'hs'))
}

function isUsb3({ speed }: Device): boolean {
  return (speed ?? 480) >= 5000
}

/** @throws QusbError ATTACH_FAILED */
export function requireFreePort(device: Device, frontend: QubeName, facts: FrontendFacts | undefined): void {
  const ports = portsFor(device, facts)
  if (ports === undefined || ports.some(isFree)) return
  throw new QusbError(
    'ATTACH_FAILED',
    `${frontend} has no free port for a ${isUsb3(device) ? 'USB 3' : 'USB 2'} device: all ${ports.length} are taken`,
    { hint: `Detach something from it first: qusb list --attached` },
  )
}
