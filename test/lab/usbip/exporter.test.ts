import type { Socket } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { createDevice } from '../../../src/lab/devices/create.ts'
import { Keyboard } from '../../../src/lab/devices/keyboard.ts'
import type { DeviceOptions } from '../../../src/lab/devices/kinds.ts'
import { formatSetup } from '../../../src/lab/devices/setup.ts'
import { serveDevice } from '../../../src/lab/usbip/exporter.ts'
import { PacketReader } from '../../../src/lab/usbip/packet-reader.ts'
import {
  type Awaited,
  announceReply,
  type Command,
  encodePacket,
  type Reply,
  type Submit,
} from '../../../src/lab/usbip/wire.ts'
import { Cleanup, DEVID, makeImage, socketPair } from './connect.ts'

const cleanup = new Cleanup()
afterEach(() => cleanup.run())

const EPIPE = -32
const ECONNRESET = -104
const EREMOTEIO = -121

/** A frontend that sends whatever it is told to, and waits for replies one by one. */
class Peer {
  readonly #socket: Socket
  readonly #awaited = new Map<number, Awaited>()
  readonly #replies: Reply[] = []
  #arrived: () => void = () => {}

  constructor(socket: Socket) {
    this.#socket = socket
    const reader = new PacketReader<Reply>((header) => announceReply(header, (s) => this.#awaited.get(s)))
    socket.on('data', (chunk: Buffer) => {
      this.#replies.push(...reader.push(chunk))
      this.#arrived()
    })
  }

  send(...commands: Command[]): void {
    for (const command of commands) {
      if (command.type !== 'submit') continue
      const isoPackets = command.isoPackets?.length ?? 0
      this.#awaited.set(command.seqnum, { direction: command.direction, length: command.length, isoPackets })
    }
    this.#socket.write(Buffer.concat(commands.map(encodePacket)))
  }

  async next(): Promise<Reply> {
    for (;;) {
      const reply = this.#replies.shift()
      if (reply) return reply
      await new Promise<void>((resolve) => {
        this.#arrived = resolve
      })
    }
  }
}

/** A device on a socket whose other end says whatever a test wants. */
async function serve(options: DeviceOptions) {
  const device = await createDevice(options)
  const [client, served] = await socketPair(cleanup)
  const exported = serveDevice(device, served, { devid: DEVID })
  cleanup.add(async () => {
    exported.close()
    await exported.done
    await device.close()
  })
  return { device, client, exported }
}

async function serveTo(options: DeviceOptions) {
  const served = await serve(options)
  return { ...served, peer: new Peer(served.client) }
}

function submit(seqnum: number, endpoint: number, rest: Partial<Submit>): Submit {
  return {
    type: 'submit',
    seqnum,
    devid: DEVID,
    direction: (endpoint & 0x80) !== 0 ? 'in' : 'out',
    endpoint: endpoint & 0x0f,
    flags: 0,
    length: rest.data?.length ?? 0,
    startFrame: 0,
    interval: 0,
    setup: Buffer.alloc(8),
    data: Buffer.alloc(0),
    isoPackets: null,
    ...rest,
  }
}

function control(
  seqnum: number,
  requestType: number,
  request: number,
  value: number,
  index: number,
  length = 0,
  data = Buffer.alloc(0),
): Submit {
  const direction = (requestType & 0x80) !== 0 && length > 0 ? 'in' : 'out'
  const setup = formatSetup({ requestType, request, value, index, length })
  return submit(seqnum, 0, { direction, setup, length, data })
}

const configure = (seqnum: number) => control(seqnum, 0x00, 9, 1, 0)
const unlink = (seqnum: number, unlinkSeqnum: number): Command => ({
  type: 'unlink',
  seqnum,
  devid: DEVID,
  direction: 'in',
  endpoint: 1,
  unlinkSeqnum,
})

describe('transfers of an exported device', () => {
  it('answers a waiting interrupt transfer when there is a key, and others meanwhile', async () => {
    const { device, peer } = await serveTo({ kind: 'keyboard' })
    peer.send(configure(1), submit(2, 0x81, { length: 8 }), control(3, 0x80, 8, 0, 0, 1))
    expect(await peer.next()).toMatchObject({ seqnum: 1, status: 0 })
    expect(await peer.next()).toMatchObject({ seqnum: 3, status: 0, data: Buffer.from([1]) })
    if (!(device instanceof Keyboard)) throw new Error('not a keyboard')
    device.type('A')
    expect(await peer.next()).toMatchObject({ seqnum: 2, data: Buffer.from([2, 0, 4, 0, 0, 0, 0, 0]) })
  })

  it('takes a waiting transfer back: the UNLINK is answered, the transfer is not', async () => {
    const { device, peer } = await serveTo({ kind: 'keyboard' })
    peer.send(configure(1))
    expect(await peer.next()).toMatchObject({ type: 'submit-reply', seqnum: 1 })
    peer.send(submit(2, 0x81, { length: 8 }), submit(3, 0x81, { length: 8 }))
    peer.send(control(8, 0x80, 8, 0, 0, 1))
    expect(await peer.next()).toMatchObject({ seqnum: 8 })
    peer.send(unlink(4, 3))
    // 3 still waits behind 2, 2 is under way.
    expect(await peer.next()).toEqual({ type: 'unlink-reply', seqnum: 4, status: ECONNRESET })
    peer.send(unlink(5, 2), submit(6, 0x81, { length: 8 }))
    expect(await peer.next()).toEqual({ type: 'unlink-reply', seqnum: 5, status: ECONNRESET })
    if (!(device instanceof Keyboard)) throw new Error('not a keyboard')
    device.type('b')
    expect(await peer.next()).toMatchObject({ seqnum: 6, data: Buffer.from([0, 0, 5, 0, 0, 0, 0, 0]) })
  })

  it('says 0 to an UNLINK that comes after the answer, or for what never was', async () => {
    const { peer } = await serveTo({ kind: 'keyboard' })
    peer.send(configure(1))
    await peer.next()
    peer.send(unlink(2, 1), unlink(3, 77))
    expect(await peer.next()).toEqual({ type: 'unlink-reply', seqnum: 2, status: 0 })
    expect(await peer.next()).toEqual({ type: 'unlink-reply', seqnum: 3, status: 0 })
  })

  it('stalls what the device does not know, and stays halted until cleared', async () => {
    const image = await makeImage(cleanup, 8)
    const { peer } = await serveTo({ kind: 'stick', image: image.path })
    peer.send(configure(1), submit(2, 0x02, { data: Buffer.from('no command wrapper') }))
    peer.send(submit(3, 0x02, { data: Buffer.alloc(31) }), control(4, 0x82, 0, 0, 0x02, 2))
    await peer.next()
    const replies = [await peer.next(), await peer.next(), await peer.next()]
    expect(replies).toContainEqual(expect.objectContaining({ seqnum: 2, status: EPIPE, actualLength: 0 }))
    expect(replies).toContainEqual(expect.objectContaining({ seqnum: 3, status: EPIPE }))
    peer.send(control(5, 0x82, 0, 0, 0x02, 2), control(6, 0x02, 1, 0, 0x02), control(7, 0x82, 0, 0, 0x02, 2))
    expect(await peer.next()).toMatchObject({ seqnum: 5, data: Buffer.from([1, 0]) })
    expect(await peer.next()).toMatchObject({ seqnum: 6, status: 0 })
    expect(await peer.next()).toMatchObject({ seqnum: 7, data: Buffer.from([0, 0]) })
  })

  it('marks a short transfer as an error where the host says that it is one', async () => {
    const { peer } = await serveTo({ kind: 'keyboard' })
    const ask = (seqnum: number, flags: number) => ({ ...control(seqnum, 0x80, 6, 0x0100, 0, 64), flags })
    peer.send(ask(1, 0), ask(2, 1))
    expect(await peer.next()).toMatchObject({ status: 0, actualLength: 18 })
    expect(await peer.next()).toMatchObject({ status: EREMOTEIO, actualLength: 18 })
  })

  it('gives isochronous transfers back as missed', async () => {
    const { peer } = await serveTo({ kind: 'webcam' })
    const isoPackets = [
      { offset: 0, length: 512, actualLength: 0, status: 0 },
      { offset: 512, length: 512, actualLength: 0, status: 0 },
    ]
    peer.send(configure(1), submit(2, 0x81, { length: 1024, isoPackets }))
    const replies = [await peer.next(), await peer.next()]
    expect(replies.find((r) => r.seqnum === 2)).toMatchObject({
      status: 0,
      actualLength: 0,
      errorCount: 2,
      isoPackets: isoPackets.map((packet) => ({ ...packet, status: -18 })),
    })
  })

  it('answers nothing while the link is stalled, and all of it afterwards', async () => {
    const { exported, client, peer } = await serveTo({ kind: 'keyboard' })
    exported.stall()
    let heard = false
    client.once('data', () => {
      heard = true
    })
    peer.send(configure(1))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(heard).toBe(false)
    exported.resume()
    expect(await peer.next()).toMatchObject({ seqnum: 1, status: 0 })
  })
})

describe('a hostile frontend', () => {
  const ends: [string, (client: Socket) => void][] = [
    ['a header of noise', (c) => c.write(Buffer.alloc(48, 0xff))],
    ['another device', (c) => c.write(encodePacket({ ...configure(1), devid: 1 }))],
    [
      'the same transfer twice',
      (c) =>
        c.write(
          encodePacket(submit(1, 0x81, { length: 8 }))
            .toString('latin1')
            .repeat(2),
          'latin1',
        ),
    ],
    ['a buffer of 2 GiB', (c) => c.write(encodePacket({ ...submit(1, 0x81, {}), length: 0x7fffffff }))],
    [
      'more transfers than can wait',
      (c) => {
        const many = Array.from({ length: 4200 }, (_, i) => encodePacket(submit(i + 2, 0x81, { length: 8 })))
        c.write(encodePacket(configure(1)))
        c.once('data', () => c.write(Buffer.concat(many)))
      },
    ],
    [
      'transfers that are taken back without end',
      (c) => {
        c.write(encodePacket(configure(1)))
        c.once('data', () => {
          c.resume()
          for (let i = 2; i < 10_000; i += 2) {
            c.write(encodePacket(submit(i, 0x81, { length: 8 })))
            if (i > 2) c.write(encodePacket(unlink(i + 1, i)))
          }
        })
      },
    ],
  ]
  it.each(ends)('is hung up on for %s', async (_what, send) => {
    const { client, exported } = await serve({ kind: 'keyboard' })
    client.on('error', () => {})
    send(client)
    expect(await exported.done).toMatchObject({ reason: 'error', error: { name: 'ProtocolError' } })
    if (!client.closed) await new Promise((resolve) => client.once('close', resolve))
  })

  it('is not read any more while it does not read its replies', async () => {
    const { client } = await serve({ kind: 'keyboard' })
    client.on('error', () => {})
    client.pause()
    let taken = 0
    const rounds = 2000
    for (let round = 0; round < rounds; round++) {
      const asks = Array.from({ length: 100 }, (_, i) =>
        encodePacket(control(round * 100 + i, 0x80, 6, 0x0200, 0, 255)),
      )
      client.write(Buffer.concat(asks), (error) => {
        if (!error) taken++
      })
    }
    // It ends in the kernel's buffers: what the exporter takes stops growing long before all is taken.
    for (let before = -1; taken !== before; ) {
      before = taken
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    expect(taken).toBeLessThan(rounds / 4)
    expect(client.destroyed).toBe(false)
    client.resume()
    await expect.poll(() => taken, { timeout: 20_000 }).toBe(rounds)
  })

  it('never gets more than an end of its connection from random bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 120 }), { minLength: 1 }),
        async (chunks) => {
          const { client, exported } = await serve({ kind: 'security-key' })
          client.on('error', () => {})
          for (const chunk of chunks) client.write(chunk)
          client.end()
          const { reason, error } = await exported.done
          expect(['peer', 'error']).toContain(reason)
          // A socket that is reset while it is being hung up on is no fault of the exporter.
          const code = error && 'code' in error ? error.code : undefined
          if (error) expect(['ProtocolError', 'ECONNRESET', 'EPIPE']).toContain(code ?? error.name)
          await cleanup.run()
        },
      ),
      { numRuns: 40 },
    )
  })

  it('cannot make the device do a wrong thing with well-formed nonsense', async () => {
    const image = await makeImage(cleanup, 16)
    const nonsense = fc.record({
      endpoint: fc.constantFrom(0, 0x81, 0x02, 0x83),
      length: fc.nat(70),
      setup: fc.uint8Array({ minLength: 8, maxLength: 8 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(nonsense, { maxLength: 20 }), async (transfers) => {
        const { client, peer, exported } = await serveTo({ kind: 'stick', image: image.path })
        client.on('error', () => {})
        peer.send(configure(1))
        await peer.next()
        transfers.forEach(({ endpoint, length, setup }, i) => {
          const data =
            (endpoint & 0x80) === 0 && (setup[0] ?? 0) < 0x80 ? Buffer.alloc(length) : Buffer.alloc(0)
          const direction = data.length > 0 || endpoint === 0x02 ? 'out' : 'in'
          peer.send(
            submit(i + 2, endpoint, {
              direction,
              length,
              data: direction === 'out' ? Buffer.alloc(length) : data,
              setup: Buffer.from(setup),
            }),
          )
        })
        peer.send(control(1000, 0x80, 6, 0x0100, 0, 18))
        let reply = await peer.next()
        while (reply.seqnum !== 1000) reply = await peer.next()
        expect(reply).toMatchObject({ status: 0, actualLength: 18 })
        exported.close()
        expect(await exported.done).toEqual({ reason: 'closed' })
      }),
      { numRuns: 60 },
    )
  })
})
