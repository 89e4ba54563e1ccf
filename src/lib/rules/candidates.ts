import { type Alias, aliasesOf } from '../model/alias.ts'
import type { Device } from '../model/device.ts'
import type { QubeSurvey } from '../qubes/survey.ts'
import type { Candidate } from './decide.ts'

/**
 * The devices of a survey as rules see them.
 * @param nameOf the name that a list shows
 */
export function candidatesOf(
  survey: Pick<QubeSurvey, 'devices' | 'publishedSerials'>,
  aliases: readonly Alias[],
  nameOf: (device: Device) => string,
): Candidate[] {
  return survey.devices.map((device) => ({
    device,
    description: nameOf(device),
    publishedSerial: survey.publishedSerials.find(({ port }) => port === device.port)?.serial ?? null,
    aliases: aliasesOf(device, aliases),
  }))
}

/** A device that nobody sees, of which only this is known. */
export function imagineDevice(
  known: Pick<Device, 'backend' | 'vendorId' | 'productId' | 'serial' | 'interfaces'> & Partial<Device>,
): Device {
  return {
    // A place that no device has: rules about a place are not about it.
    port: '999-999' as Device['port'],
    toldBy: 'backend',
    busnum: 999,
    devnum: 999,
    serialUnsafe: false,
    manufacturer: null,
    product: null,
    speed: null,
    state: 'free',
    attachedTo: null,
    driver: null,
    interfaceDrivers: [],
    hub: false,
    hidden: false,
    controller: null,
    inputForDom0: false,
    usage: [],
    ...known,
  }
}
