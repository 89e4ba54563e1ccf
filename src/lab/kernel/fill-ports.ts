import { join } from 'node:path'
import { createDevice } from '../devices/create.ts'
import { ensureImage } from '../devices/stick-image.ts'
import { serveDevice } from '../usbip/exporter.ts'
import type { Export } from '../usbip/interface.ts'
import { type Guest, runScript } from './guest.ts'
import type { OutgoingCall } from './hub.ts'

/** The service that a guest asks the lab for, in the name of no qube, with `hs` or `ss` as argument. */
const SERVICE = 'lab.Fill+'

/** Takes the ports of virtual hosts with emulated devices: the ports are really in use, and stay so. */
export interface PortFiller {
  /** True when the call was for the filler, which has answered it then. */
  answer(qube: string, call: OutgoingCall): Promise<boolean>
  /** Takes every port of a qube that is free now, or lets go of those that it took. */
  fill(qube: string, guest: Guest, on: boolean): Promise<void>
  release(): Promise<void>
}

const LIMIT = 120_000

/** `folder` gets the image that the filling sticks share. */
export function createPortFiller(folder: string): PortFiller {
  const exports = new Map<string, { readonly exported: Export; close: () => Promise<void> }[]>()
  let devices = 0

  const empty = async (qube: string) => {
    const held = exports.get(qube) ?? []
    exports.delete(qube)
    for (const { exported, close } of held) {
      exported.close()
      await exported.done
      await close()
    }
  }

  return {
    async answer(qube, call) {
      if (!call.service.startsWith(SERVICE)) return false
      const isFast = call.service === `${SERVICE}ss`
      const image = join(folder, 'filler.img')
      if (isFast) await ensureImage(image, 1)
      const identity = { vendorId: 'f055', productId: '0001' }
      const device = await createDevice(
        isFast
          ? { ...identity, kind: 'stick', image, speed: 5000 }
          : { ...identity, kind: 'keyboard', speed: 12 },
      )
      // On a bus that no backend has, so that nothing takes it for one of a backend's.
      const devid = (99 << 16) | (++devices & 0xffff)
      call.accept()
      call.socket.write(`${devid} ${device.speed}\n`)
      const held = exports.get(qube) ?? []
      held.push({ exported: serveDevice(device, call.socket, { devid }), close: () => device.close() })
      exports.set(qube, held)
      return true
    },
    async fill(qube, guest, on) {
      if (!on) return empty(qube)
      const { code, stderr } = await runScript(guest, '/lab/fill', LIMIT)
      if (code !== 0) throw new Error(`cannot take the ports of ${qube}: ${stderr.trim() || `code ${code}`}`)
    },
    async release() {
      for (const qube of [...exports.keys()]) await empty(qube)
    },
  }
}
