import { NotInThisEngine } from '../engine.ts'
import { SOCKETS } from './vm.ts'

/** Where a device sits: its port as the guest's sysfs has it, and the controller's socket, counted from 1. */
export interface Place {
  readonly port: string
  readonly socket: number
}

/** The controller's buses in the guest: Linux registers its USB 2 half first. */
const BUS = { highSpeed: 1, superSpeed: 2 }

/** QEMU's hub is one of USB 1.1. */
const HUB_SPEED = 12

export const isBehindHub = (port: string): boolean => port.includes('.')

/**
 * Chooses the socket for a device, and so its port. Throws NotInThisEngine where the controller has nothing
 * like it, and an Error when the place is taken.
 * @param speed the fastest that the device can, in Mb/s
 * @param wanted the port of the lab file
 */
export function choosePlace(speed: number, wanted: string | undefined, plugged: readonly Place[]): Place {
  const direct = new Set(plugged.filter(({ port }) => !isBehindHub(port)).map(({ socket }) => socket))
  const hubs = new Set(plugged.filter(({ port }) => isBehindHub(port)).map(({ socket }) => socket))
  const isFast = speed >= 5000
  if (wanted === undefined) {
    // From above on the sockets without SuperSpeed, so that those with it stay free.
    const first = isFast ? 1 : SOCKETS.superSpeed + 1
    const last = isFast ? SOCKETS.superSpeed : SOCKETS.all
    for (let socket = first; socket <= last; socket++)
      if (!direct.has(socket) && !hubs.has(socket))
        return { socket, port: `${isFast ? BUS.superSpeed : BUS.highSpeed}-${socket}` }
    throw new Error('no socket is free')
  }
  const [bus, path = ''] = wanted.split('-')
  const parts = path.split('.')
  const socket = Number(parts[0])
  const behindHub = parts.length > 1
  const fits = isFast
    ? Number(bus) === BUS.superSpeed && socket <= SOCKETS.superSpeed && !behindHub
    : Number(bus) === BUS.highSpeed &&
      socket <= SOCKETS.all &&
      parts.length <= 2 &&
      Number(parts[1] ?? 1) <= 8
  if (!fits || (behindHub && speed > HUB_SPEED))
    throw new NotInThisEngine(
      `a device of ${speed} Mb/s cannot be at ${wanted} in the kernel engine: at SuperSpeed ` +
        `2-1 to 2-${SOCKETS.superSpeed}, others 1-1 to 1-${SOCKETS.all}, those of 12 Mb/s and less behind a hub, too: 1-N.1 to 1-N.8`,
    )
  const isTaken =
    plugged.some(({ port }) => port === wanted) || direct.has(socket) || (hubs.has(socket) && !behindHub)
  if (isTaken) throw new Error(`socket ${socket} is taken (2-${socket} and 1-${socket} are one socket)`)
  return { port: wanted, socket }
}
