import type { PluggedDevice } from '../engine.ts'
import { usbId } from './lines.ts'
import { type Generation, protocolError, QubesdException, qubeOf, type World } from './world.ts'

/** What an argument `BACKEND+PORT[+DEVID]` names. */
interface Named {
  readonly backend: string
  readonly port: string
  /** `*` for whatever is there. */
  readonly id: string
}

function readArgument(arg: string, generation: Generation): Named {
  const [backend = '', port = '', ...rest] = arg.split('+')
  const id = rest.join(':').replaceAll('_', '*')
  if (port === '' || (generation === '4.3') !== (id !== '')) throw protocolError(`argument ${arg}`)
  return { backend, port, id: id === '' ? '*' : id }
}

async function find(world: World, { backend, port, id }: Named): Promise<PluggedDevice> {
  qubeOf(world, backend)
  const device = (await world.devices()).find(
    (each) => each.backend === backend && each.port === port && !each.hidden,
  )
  if (device === undefined) throw new QubesdException('DeviceNotFound', `No device ${port} in ${backend}`)
  if (id !== '*' && id !== usbId(device)) {
    throw new QubesdException('UnrecognizedDevice', `${backend}:${port} is ${usbId(device)}, not ${id}`)
  }
  return device
}

/** `admin.vm.device.usb.Attach`: policy, the frontend's service, and policy as before. @throws QubesdException */
export async function attachDevice(
  world: World,
  generation: Generation,
  frontend: string,
  arg: string,
  payload: string,
): Promise<void> {
  const named = readArgument(arg, generation)
  const device = await find(world, named)
  const { definition, state } = qubeOf(world, frontend)
  const mode = generation === '4.2' ? 'manual' : readMode(payload, named)
  if (generation === '4.2' && payload !== '') throw protocolError('only what does not last is attached here')
  if (state !== 'running') {
    throw new QubesdException(
      'QubesVMNotRunningError',
      `Domain not running (either powered off or paused): '${frontend}'`,
    )
  }
  if (device.attachedTo !== null) {
    throw new QubesdException(
      'DeviceAlreadyAttached',
      `${device.backend}:${device.port} is attached to ${device.attachedTo}`,
    )
  }
  const denied = generation === '4.3' && mode === 'manual' ? definition.denied : []
  const hit = denied.find((entry) => (device.interfaces ?? []).some((code) => isDenied(entry, `u${code}`)))
  if (hit !== undefined) {
    throw new QubesdException('QubesException', `Device ${hit} is denied to ${frontend}`)
  }
  const caller = definition.stubdom ? `${frontend}-dm` : frontend
  const revoke = world.allow(caller, device.backend, device.port)
  try {
    const { code, stderr } = await world.call(caller, 'qubes.USBAttach', `${device.backend} ${device.port}\n`)
    if (code === 127) {
      throw new QubesdException('USBProxyNotInstalled', 'qubes-usb-proxy not installed in the VM')
    }
    if (code !== 0)
      throw new QubesdException('QubesUSBException', `Device attach failed: ${code} ${stderr.trim()}`)
  } finally {
    revoke()
  }
}

/** `admin.vm.device.usb.Detach`: at the backend. @throws QubesdException */
export async function detachDevice(
  world: World,
  generation: Generation,
  frontend: string,
  arg: string,
): Promise<void> {
  qubeOf(world, frontend)
  const device = await find(world, readArgument(arg, generation))
  if (device.attachedTo !== frontend) {
    throw new QubesdException('DeviceNotAssigned', `${device.port} is not attached to ${frontend}`)
  }
  const { code, stderr } = await world.call(device.backend, 'qubes.USBDetach', `${device.port}\n`)
  if (code !== 0)
    throw new QubesdException('QubesUSBException', `Device detach failed: ${code} ${stderr.trim()}`)
}

/** The payload must say again what the argument says. */
function readMode(payload: string, { backend, port, id }: Named): string {
  const value = (key: string): string | undefined =>
    new RegExp(`(?:^| )${key}='((?:[^'\\\\]|\\\\'|\\\\)*)'(?: |$)`).exec(payload)?.[1]
  if (value('backend_domain') !== backend || value('port_id') !== port || value('devclass') !== 'usb') {
    throw new QubesdException('UnexpectedDeviceProperty', 'the payload is about another device')
  }
  const claimed = value('device_id')
  if (claimed !== undefined && claimed !== id && claimed !== '*') {
    throw new QubesdException('UnexpectedDeviceProperty', 'the payload is about another identity')
  }
  return value('mode') ?? 'manual'
}

const isDenied = (entry: string, code: string): boolean =>
  entry.length === code.length && [...entry].every((want, i) => want === '*' || want === code[i])
