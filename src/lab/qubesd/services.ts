import { symlinkSync } from 'node:fs'
import { join } from 'node:path'

const DEVICE_VERBS = ['Available', 'Attached', 'Assigned', 'List', 'Attach', 'Detach']

/** The calls that the lab's qubesd knows, as services. */
const SERVICES = [
  'admin.Events',
  ...['List', 'Start', 'Shutdown', 'Kill', 'Pause', 'Unpause', 'property.Get', 'feature.Set'].map(
    (verb) => `admin.vm.${verb}`,
  ),
  ...['usb', 'pci'].flatMap((kind) => DEVICE_VERBS.map((verb) => `admin.vm.device.${kind}.${verb}`)),
  'admin.vm.device.denied.List',
]

/** Makes qubesd's socket the service for each of its calls, as in a real dom0, so that other qubes can make them. */
export function linkServices(rpcDir: string, socket: string): void {
  for (const service of SERVICES) symlinkSync(socket, join(rpcDir, service))
}
