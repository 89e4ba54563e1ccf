import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Generation } from './world.ts'

const DEVICE_VERBS: Readonly<Record<Generation, readonly string[]>> = {
  '4.2': ['Available', 'List', 'Attach', 'Detach'],
  '4.3': ['Available', 'Attached', 'Assigned', 'Attach', 'Detach'],
}

/** The calls that the lab's qubesd knows, as services: a dom0 has none for a call of another generation. */
const servicesOf = (generation: Generation): string[] => [
  'admin.Events',
  ...['List', 'Start', 'Shutdown', 'Kill', 'Pause', 'Unpause', 'property.Get', 'feature.Set'].map(
    (verb) => `admin.vm.${verb}`,
  ),
  ...['usb', 'pci'].flatMap((kind) =>
    DEVICE_VERBS[generation].map((verb) => `admin.vm.device.${kind}.${verb}`),
  ),
  ...(generation === '4.2' ? [] : ['admin.vm.device.denied.List']),
]

/** Makes qubesd's socket the service for each of its calls, as in a real dom0, so that other qubes can make them. */
export function linkServices(rpcDir: string, socket: string, generation: Generation): void {
  for (const service of servicesOf(generation)) symlinkSync(socket, join(rpcDir, service))
}
