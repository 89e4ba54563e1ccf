import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createDevice } from '../../../src/lab/devices/create.ts'
import type { DeviceOptions } from '../../../src/lab/devices/kinds.ts'
import { type Redirected, redirectDevice } from '../../../src/lab/kernel/redirect.ts'
import {
  PACKET,
  type Packet,
  packetReader,
  packPacket,
  STATUS,
} from '../../../src/lab/kernel/redirect-packets.ts'

/** What QEMU says first. */
const HELLO = packPacket(PACKET.hello, 0n, Buffer.alloc(68))

describe('a device over USB redirection', () => {
  let redirected: Redirected
  let socket: Socket
  const packets: Packet[] = []
  let wake = () => {}

  afterEach(async () => {
    socket.destroy()
    packets.length = 0
    await redirected.close()
  })

  const connect = async (options: DeviceOptions) => {
    redirected = await redirectDevice(await createDevice(options), () => {})
    socket = createConnection({ host: '127.0.0.1', port: redirected.port })
    const read = packetReader()
    socket.on('data', (chunk: Buffer) => {
      packets.push(...read(chunk))
      wake()
    })
    await once(socket, 'connect')
    socket.write(HELLO)
  }
  /** The next packet of a type; earlier ones of it are gone. */
  const next = async (type: number): Promise<Packet> => {
    for (;;) {
      const index = packets.findIndex((packet) => packet.type === type)
      if (index >= 0) return packets.splice(index, 1)[0] as Packet
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  const control = (id: bigint, requestType: number, request: number, value: number, length: number) => {
    const header = Buffer.from([requestType & 0x80, request, requestType, 0, 0, 0, 0, 0, 0, 0])
    header.writeUInt16LE(value, 4)
    header.writeUInt16LE(length, 8)
    socket.write(packPacket(PACKET.control, id, header))
  }

  it('tells its interfaces and endpoints, then that it is there', async () => {
    await connect({ kind: 'security-key' })
    expect((await next(PACKET.hello)).body.length).toBe(68)
    const { body: interfaces } = await next(PACKET.interfaceInfo)
    expect(interfaces.readUInt32LE(0)).toBe(2)
    expect([...interfaces.subarray(4 + 32, 4 + 34)]).toEqual([3, 3])
    const { body: endpoints } = await next(PACKET.endpointInfo)
    // Endpoint 0 both ways is control, 0x81 an interrupt endpoint, what is not there 255.
    expect([endpoints[0], endpoints[16], endpoints[17], endpoints[15]]).toEqual([0, 0, 3, 255])
    const { body: device } = await next(PACKET.deviceConnect)
    expect(device.readUInt8(0)).toBe(1)
    expect(device.readUInt16LE(4).toString(16)).toBe('1050')
    expect(device.readUInt16LE(6).toString(16)).toBe('407')
  })

  it('answers control transfers by their id, a stall included', async () => {
    await connect({ kind: 'keyboard' })
    control(7n, 0x80, 6, 0x0100, 18)
    const { id, body } = await next(PACKET.control)
    expect([id, body.readUInt8(3), body.readUInt16LE(8), body.length]).toEqual([7n, STATUS.success, 18, 28])
    expect(body.readUInt16LE(10 + 8).toString(16)).toBe('46d')
    control(8n, 0x80, 6, 0x7700, 18)
    const refused = await next(PACKET.control)
    expect([refused.id, refused.body.readUInt8(3), refused.body.length]).toEqual([8n, STATUS.stall, 10])
  })

  it('sends interrupts until it is told to stop, and gives up a transfer that is cancelled', async () => {
    await connect({ kind: 'thermometer', temperature: 20 })
    socket.write(packPacket(PACKET.setConfiguration, 1n, Buffer.from([1])))
    expect([...(await next(PACKET.configurationStatus)).body]).toEqual([STATUS.success, 1])
    socket.write(packPacket(PACKET.startInterrupts, 2n, Buffer.from([0x81])))
    expect([...(await next(PACKET.interruptStatus)).body]).toEqual([STATUS.success, 0x81])
    const start = Buffer.from([0, 9, 0x21, 0, 0, 2, 0, 0, 8, 0, 0x18, 0, 0, 0, 0, 0, 0, 0])
    socket.write(packPacket(PACKET.control, 3n, start))
    expect((await next(PACKET.control)).body.readUInt8(3)).toBe(STATUS.success)
    const { body } = await next(PACKET.interrupt)
    expect([body.readUInt8(0), body.readUInt8(1), body.readUInt16LE(2), body.length]).toEqual([
      0x81, 0, 8, 12,
    ])
    socket.write(packPacket(PACKET.stopInterrupts, 4n, Buffer.from([0x81])))
    expect([...(await next(PACKET.interruptStatus)).body]).toEqual([STATUS.success, 0x81])
  })

  it('ends a connection that says what cannot be', async () => {
    await connect({ kind: 'keyboard' })
    const nonsense = Buffer.alloc(16, 0xff)
    socket.write(nonsense)
    await once(socket, 'close')
  })
})
