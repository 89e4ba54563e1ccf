import { createServer, type Socket } from 'node:net'
import { type EmulatedDevice, UsbStall } from '../devices/emulated.ts'
import { REQUEST } from '../devices/setup.ts'
import { portOf } from './hub.ts'
import {
  deviceConnect,
  hello,
  interfacesAndEndpoints,
  PACKET,
  type Packet,
  packetReader,
  packPacket,
  STATUS,
} from './redirect-packets.ts'

/** An emulated device that waits for QEMU's usb-redir to plug it into a guest. */
export interface Redirected {
  /** On 127.0.0.1: where QEMU's channel connects. */
  readonly port: number
  /** Lets go of the connection and of the device. */
  close(): Promise<void>
}

/** Offers a device to one QEMU. */
export async function redirectDevice(
  device: EmulatedDevice,
  log: (line: string) => void,
): Promise<Redirected> {
  let peer: Peer | undefined
  const server = createServer({ noDelay: true }, (socket) => {
    if (peer) socket.destroy()
    else peer = new Peer(device, socket, log)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: portOf(server),
    async close() {
      server.close()
      peer?.close()
      await device.close()
    },
  }
}

/** QEMU at the other end: what the guest's host controller asks, and the device's answers. */
class Peer {
  readonly #device: EmulatedDevice
  readonly #socket: Socket
  readonly #log: (line: string) => void
  readonly #alternates = new Map<number, number>()
  /** Transfers under way by their id, and interrupt endpoints that are listened to. */
  readonly #transfers = new Map<bigint, AbortController>()
  readonly #listening = new Map<number, AbortController>()
  /** A device does one transfer an endpoint at a time. */
  readonly #lanes = new Map<number, Promise<void>>()
  #configuration = 0
  #lastInterrupt = 0n

  constructor(device: EmulatedDevice, socket: Socket, log: (line: string) => void) {
    this.#device = device
    this.#socket = socket
    this.#log = log
    const read = packetReader()
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const packet of read(chunk)) this.#take(packet)
      } catch (error) {
        log(`redirected ${device.kind}: ${(error as Error).message}`)
        socket.destroy()
      }
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#abortAll())
    socket.write(hello())
  }

  close(): void {
    this.#abortAll()
    this.#socket.destroy()
  }

  #abortAll(): void {
    for (const aborts of [this.#transfers, this.#listening]) {
      for (const abort of aborts.values()) abort.abort()
      aborts.clear()
    }
  }

  #send(type: number, id: bigint, header: readonly number[], data: Buffer = Buffer.alloc(0)): void {
    if (!this.#socket.destroyed) this.#socket.write(packPacket(type, id, Buffer.from(header), data))
  }

  #take({ type, id, body }: Packet): void {
    switch (type) {
      case PACKET.hello:
        // Interfaces and endpoints first: QEMU plugs the device as soon as it hears of it.
        this.#socket.write(interfacesAndEndpoints(this.#device, this.#alternates))
        this.#socket.write(deviceConnect(this.#device))
        break
      case PACKET.reset:
        this.#abortAll()
        this.#alternates.clear()
        this.#configuration = 0
        this.#device.reset()
        break
      case PACKET.setConfiguration:
        void this.#setConfiguration(id, body.readUInt8(0))
        break
      case PACKET.getConfiguration:
        this.#send(PACKET.configurationStatus, id, [STATUS.success, this.#configuration])
        break
      case PACKET.setAlternate:
        void this.#setAlternate(id, body.readUInt8(0), body.readUInt8(1))
        break
      case PACKET.getAlternate: {
        const number = body.readUInt8(0)
        const alternate = this.#alternates.get(number) ?? 0
        this.#send(PACKET.alternateStatus, id, [STATUS.success, number, alternate])
        break
      }
      case PACKET.startInterrupts:
        this.#startInterrupts(id, body.readUInt8(0))
        break
      case PACKET.stopInterrupts: {
        const endpoint = body.readUInt8(0)
        this.#listening.get(endpoint)?.abort()
        this.#listening.delete(endpoint)
        this.#send(PACKET.interruptStatus, id, [STATUS.success, endpoint])
        break
      }
      case PACKET.cancel:
        this.#transfers.get(id)?.abort()
        break
      case PACKET.control:
        this.#control(id, body)
        break
      case PACKET.bulk:
        this.#bulk(id, body)
        break
      case PACKET.interrupt:
        this.#interruptOut(id, body)
        break
      default:
        this.#log(`redirected ${this.#device.kind}: packet of type ${type} is not answered`)
    }
  }

  async #standard(requestType: number, request: number, value: number, index: number): Promise<number> {
    const setup = { requestType, request, value, index, length: 0 }
    const signal = new AbortController().signal
    return await this.#device.control(setup, Buffer.alloc(0), signal).then(() => STATUS.success, statusOf)
  }

  async #setConfiguration(id: bigint, value: number): Promise<void> {
    const status = await this.#standard(0x00, REQUEST.setConfiguration, value, 0)
    this.#alternates.clear()
    if (status === STATUS.success) this.#configuration = value
    this.#socket.write(interfacesAndEndpoints(this.#device, this.#alternates))
    this.#send(PACKET.configurationStatus, id, [status, this.#configuration])
  }

  async #setAlternate(id: bigint, number: number, alternate: number): Promise<void> {
    const status = await this.#standard(0x01, REQUEST.setInterface, alternate, number)
    if (status === STATUS.success) this.#alternates.set(number, alternate)
    this.#socket.write(interfacesAndEndpoints(this.#device, this.#alternates))
    this.#send(PACKET.alternateStatus, id, [status, number, this.#alternates.get(number) ?? 0])
  }

  /** Header: endpoint, request, type, status, then value, index and length in two bytes each. */
  #control(id: bigint, body: Buffer): void {
    const setup = {
      request: body.readUInt8(1),
      requestType: body.readUInt8(2),
      value: body.readUInt16LE(4),
      index: body.readUInt16LE(6),
      length: body.readUInt16LE(8),
    }
    const data = body.subarray(10)
    this.#transfer(0, id, async (signal) => {
      const reply = (status: number, received: Buffer, length: number) => {
        const header = Buffer.from(body.subarray(0, 10))
        header.writeUInt8(status, 3)
        header.writeUInt16LE(length, 8)
        this.#send(PACKET.control, id, [...header], received)
      }
      try {
        const received = await this.#device.control(setup, data, signal)
        const isIn = (setup.requestType & 0x80) !== 0
        reply(STATUS.success, received, isIn ? received.length : data.length)
      } catch (error) {
        reply(statusOf(error, signal), Buffer.alloc(0), 0)
      }
    })
  }

  /** Header: endpoint, status, length, stream in four bytes, the upper half of the length. */
  #bulk(id: bigint, body: Buffer): void {
    const endpoint = body.readUInt8(0)
    const asked = body.readUInt16LE(2) | (body.readUInt16LE(8) << 16)
    const data = body.subarray(10)
    this.#transfer(endpoint, id, async (signal) => {
      const reply = (status: number, length: number, received: Buffer = Buffer.alloc(0)) => {
        const header = Buffer.from(body.subarray(0, 10))
        header.writeUInt8(status, 1)
        header.writeUInt16LE(length & 0xffff, 2)
        header.writeUInt16LE(length >>> 16, 8)
        this.#send(PACKET.bulk, id, [...header], received)
      }
      try {
        if ((endpoint & 0x80) === 0)
          return reply(STATUS.success, await this.#device.transferOut(endpoint, data, signal))
        const received = await this.#device.transferIn(endpoint, asked, signal)
        reply(STATUS.success, received.length, received)
      } catch (error) {
        reply(statusOf(error, signal), 0)
      }
    })
  }

  /** Header: endpoint, status, length. */
  #interruptOut(id: bigint, body: Buffer): void {
    const endpoint = body.readUInt8(0)
    this.#transfer(endpoint, id, async (signal) => {
      const reply = (status: number, length: number) =>
        this.#send(PACKET.interrupt, id, [endpoint, status, length & 0xff, length >>> 8])
      try {
        reply(STATUS.success, await this.#device.transferOut(endpoint, body.subarray(4), signal))
      } catch (error) {
        reply(statusOf(error, signal), 0)
      }
    })
  }

  /** From here on each packet of the endpoint is sent as it comes, until QEMU says stop. */
  #startInterrupts(id: bigint, endpoint: number): void {
    this.#send(PACKET.interruptStatus, id, [STATUS.success, endpoint])
    if (this.#listening.has(endpoint)) return
    const abort = new AbortController()
    this.#listening.set(endpoint, abort)
    const size = packetSize(this.#device, endpoint)
    const before = this.#lanes.get(endpoint) ?? Promise.resolve()
    const listen = async () => {
      await before
      while (!abort.signal.aborted) {
        try {
          const data = await this.#device.transferIn(endpoint, size, abort.signal)
          const header = [endpoint, STATUS.success, data.length & 0xff, data.length >>> 8]
          this.#send(PACKET.interrupt, ++this.#lastInterrupt, header, data)
        } catch (error) {
          if (abort.signal.aborted) return
          this.#listening.delete(endpoint)
          return this.#send(PACKET.interruptStatus, 0n, [statusOf(error), endpoint])
        }
      }
    }
    this.#lanes.set(endpoint, listen())
  }

  #transfer(endpoint: number, id: bigint, work: (signal: AbortSignal) => Promise<void>): void {
    const abort = new AbortController()
    this.#transfers.set(id, abort)
    const before = this.#lanes.get(endpoint) ?? Promise.resolve()
    this.#lanes.set(
      endpoint,
      before.then(() => work(abort.signal)).finally(() => this.#transfers.delete(id)),
    )
  }
}

function statusOf(error: unknown, signal?: AbortSignal): number {
  if (signal?.aborted) return STATUS.cancelled
  return error instanceof UsbStall ? STATUS.stall : STATUS.ioError
}

/** wMaxPacketSize of an endpoint, from the descriptors; the additional transactions of USB 2 left out. */
function packetSize({ descriptors }: EmulatedDevice, endpoint: number): number {
  for (let at = 0; at + 7 <= descriptors.length; at += descriptors.readUInt8(at)) {
    if (descriptors.readUInt8(at) < 2) break
    const isEndpoint = descriptors.readUInt8(at + 1) === 5
    if (isEndpoint && descriptors.readUInt8(at + 2) === endpoint)
      return descriptors.readUInt16LE(at + 4) & 0x7ff
  }
  return 64
}
