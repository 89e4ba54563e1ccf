import type { PluggedDevice } from '../engine.ts'
import type { AssignmentDefinition } from '../file/schema.ts'
import type { Generation, World } from './world.ts'

/** A PCI device of the lab's dom0. */
export interface PciDevice {
  readonly address: string
  readonly code: string
  readonly vendor: string
  readonly product: string
  /** The qube that has it, or gets it when it starts. */
  readonly qube: string | null
}

/** A USB controller for each backend, and a network card that is none. */
export function pciDevices(world: World): readonly PciDevice[] {
  const backends = world.qubes().filter(({ definition }) => definition.backend)
  return [
    ...backends.map(({ definition }, i) => ({
      address: `${i.toString(16).padStart(2, '0')}_14.0`,
      code: 'p0c0330',
      vendor: 'Intel Corporation',
      product: 'USB 3.2 xHCI Host Controller',
      qube: definition.name,
    })),
    {
      address: '00_1f.6',
      code: 'p020000',
      vendor: 'Intel Corporation',
      product: 'Ethernet Connection',
      qube: world.qubes().find(({ definition }) => definition.name === 'sys-net')?.definition.name ?? null,
    },
  ]
}

export const pciId = ({ code }: PciDevice): string => `0x8086:0xa0ed::${code}`

/** What qubesd makes of a string of a device: printable ASCII, nothing else (core-admin, sanitising of descriptions). */
const ascii = (text: string | null): string => (text ?? '').replace(/[^\x20-\x7e]/g, '_')

/** `VID:PID:SERIAL:INTERFACES` of a device as it is published. */
export function usbId(device: PluggedDevice): string {
  const codes = (device.interfaces ?? []).map((code) => `u${code}`).join('')
  return `${device.vendorId}:${device.productId}:${ascii(device.serial)}:${codes === '' ? 'u******' : codes}`
}

/** Properties as the newer generation writes them: a quote gets a backslash, a backslash gets nothing. */
function serialize(properties: Readonly<Record<string, string>>): string {
  return Object.entries(properties)
    .map(([key, value]) => `${key}='${value.replaceAll("'", "\\'")}'`)
    .join(' ')
}

export function usbLine(device: PluggedDevice, generation: Generation): string {
  const { backend, port } = device
  const maker = ascii(device.manufacturer ?? device.vendorId)
  const product = ascii(device.product ?? device.productId)
  if (generation === '4.2') return `${port} description=${maker} ${product}\n`
  const properties = {
    // The order is not stable there; here it is another than one would write.
    port_id: port,
    interfaces: (device.interfaces ?? []).map((code) => `u${code}`).join(''),
    serial: ascii(device.serial),
    device_id: usbId(device),
    product,
    manufacturer: maker,
    backend_domain: backend,
    devclass: 'usb',
    ...(device.attachedTo === null ? {} : { attachment: device.attachedTo }),
  }
  return `${port}:${usbId(device)} ${serialize(properties)}\n`
}

export function pciLine(device: PciDevice, generation: Generation): string {
  const { address, code, vendor, product } = device
  const kind = code.startsWith('p0c03') ? 'USB controller' : 'Ethernet controller'
  if (generation === '4.2') return `${address} description=${kind}: ${vendor} ${product}\n`
  const properties = {
    device_id: pciId(device),
    port_id: address,
    devclass: 'pci',
    backend_domain: 'dom0',
    manufacturer: vendor,
    product,
    interfaces: code,
  }
  return `${address}:${pciId(device)} ${serialize(properties)}\n`
}

/** A line of `Attached`, `Assigned` or `List`. */
export function heldLine(
  held: {
    backend: string
    port: string
    id: string
    frontend: string
    mode: string
    devclass: 'usb' | 'pci'
  },
  generation: Generation,
): string {
  const { backend, port, id, frontend, mode, devclass } = held
  const head = `${backend}+${port}`
  if (generation === '4.2') return `${head} persistent=${mode === 'manual' ? 'False' : 'True'}\n`
  const properties = {
    device_id: id,
    port_id: port,
    devclass,
    backend_domain: backend,
    mode,
    frontend_domain: frontend,
  }
  return `${head}:${id} ${serialize(properties)}\n`
}

export function assignmentLine(assignment: AssignmentDefinition, generation: Generation): string {
  const { backend, frontend, mode, port, device } = assignment
  return heldLine({ backend, frontend, mode, port, id: device, devclass: 'usb' }, generation)
}
