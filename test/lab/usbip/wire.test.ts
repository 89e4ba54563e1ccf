import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PacketReader } from '../../../src/lab/usbip/packet-reader.ts'
import {
  type Awaited,
  announceCommand,
  announceReply,
  type Command,
  encodePacket,
  HEADER_BYTES,
  type IsoPacket,
  MAX_TRANSFER,
  ProtocolError,
  type Reply,
} from '../../../src/lab/usbip/wire.ts'

const u32 = fc.integer({ min: 0, max: 0xffffffff })
const i32 = fc.integer({ min: -0x80000000, max: 0x7fffffff })
const endpoint = fc.integer({ min: 0, max: 15 })
const direction = fc.constantFrom('in' as const, 'out' as const)
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length }).map(Buffer.from)
const buffer = fc.uint8Array({ maxLength: 200 }).map((b) => Buffer.from(b))

const isoPackets = (length: number) =>
  fc.option(
    fc.array(
      fc.tuple(fc.integer({ min: 0, max: length }), fc.integer({ min: 0, max: length }), i32).map(
        ([a, b, status]): IsoPacket => ({
          offset: Math.min(a, b),
          length: Math.abs(a - b),
          actualLength: Math.floor(Math.abs(a - b) / 2),
          status,
        }),
      ),
      { minLength: 1, maxLength: 5 },
    ),
    { nil: null },
  )

const submit: fc.Arbitrary<Command> = fc
  .tuple(direction, buffer, bytes(8), fc.record({ seqnum: u32, devid: u32, endpoint, flags: u32 }), i32, i32)
  .chain(([dir, data, setup, rest, startFrame, interval]) =>
    isoPackets(data.length).map((iso) => ({
      type: 'submit' as const,
      ...rest,
      direction: dir,
      length: data.length,
      startFrame,
      interval,
      setup,
      data: dir === 'out' ? data : Buffer.alloc(0),
      isoPackets: iso,
    })),
  )

const unlink: fc.Arbitrary<Command> = fc.record({
  type: fc.constant('unlink' as const),
  seqnum: u32,
  devid: u32,
  direction,
  endpoint,
  unlinkSeqnum: u32,
})

/** A reply, and what the frontend remembers of the transfer. */
const reply: fc.Arbitrary<{ reply: Reply; awaited: Awaited }> = fc
  .tuple(
    direction,
    buffer,
    fc.record({ seqnum: u32, status: i32, startFrame: i32, errorCount: i32 }),
    fc.nat(50),
  )
  .chain(([dir, data, rest, more]) =>
    isoPackets(data.length + more).map((iso) => ({
      awaited: { direction: dir, length: data.length + more, isoPackets: iso?.length ?? 0 },
      reply: {
        type: 'submit-reply' as const,
        ...rest,
        actualLength: data.length,
        data: dir === 'in' ? data : Buffer.alloc(0),
        isoPackets: iso,
      },
    })),
  )

/** Cuts `whole` into pieces at the given places. */
function cut(whole: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((p) => p % (whole.length + 1)).sort((a, b) => a - b), whole.length]
  return at.slice(1).map((end, i) => whole.subarray(at[i], end))
}

describe('the USB/IP wire format', () => {
  it('lays a submit out as the kernel document does', () => {
    const packet = encodePacket({
      type: 'submit',
      seqnum: 0x01020304,
      devid: 0x00020005,
      direction: 'in',
      endpoint: 0,
      flags: 0x200,
      length: 0x40,
      startFrame: 0,
      interval: 0,
      setup: Buffer.from('8006000100004000', 'hex'),
      data: Buffer.alloc(0),
      isoPackets: null,
    })
    expect(packet.toString('hex')).toBe(
      '0000000101020304000200050000000100000000' +
        '0000020000000040000000000000000000000000' +
        '8006000100004000',
    )
  })

  it.each([
    ['unlink', '0000000200000009000200050000000000000000', '00000007'],
    ['unlink-reply', '0000000400000009000000000000000000000000', 'ffffff98'],
    ['submit-reply', '0000000300000009000000000000000000000000', 'ffffffe0'],
  ] as const)('lays a %s out as the kernel document does', (type, basic, word) => {
    const packets = {
      unlink: { type: 'unlink', seqnum: 9, devid: 0x20005, direction: 'out', endpoint: 0, unlinkSeqnum: 7 },
      'unlink-reply': { type: 'unlink-reply', seqnum: 9, status: -104 },
      'submit-reply': {
        type: 'submit-reply',
        seqnum: 9,
        status: -32,
        actualLength: 0,
        startFrame: 0,
        errorCount: 0,
        data: Buffer.alloc(0),
        isoPackets: null,
      },
    } as const
    expect(encodePacket(packets[type]).toString('hex')).toBe(`${basic}${word}${'00'.repeat(24)}`)
  })

  it('takes both ways of saying that a transfer is not isochronous', () => {
    for (const packets of [0, -1]) {
      const header = Buffer.alloc(HEADER_BYTES)
      header.writeUInt32BE(1, 0)
      header.writeUInt32BE(1, 12)
      header.writeInt32BE(64, 24)
      header.writeInt32BE(packets, 32)
      const { bodyBytes, finish } = announceCommand(header)
      expect(bodyBytes).toBe(0)
      expect(finish(Buffer.alloc(0))).toMatchObject({ length: 64, isoPackets: null })
    }
  })

  it('reads commands back however they are chunked', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(submit, unlink), { maxLength: 6 }),
        fc.array(fc.nat()),
        (sent, places) => {
          const reader = new PacketReader<Command>((header) => announceCommand(header))
          const whole = Buffer.concat(sent.map(encodePacket))
          const received = cut(whole, places).flatMap((chunk) => [...reader.push(chunk)])
          expect(received).toEqual(sent)
        },
      ),
    )
  })

  it('reads replies back however they are chunked', () => {
    fc.assert(
      fc.property(fc.array(reply, { maxLength: 6 }), fc.array(fc.nat()), (sent, places) => {
        const awaited = sent.map((s) => s.awaited)
        const reader = new PacketReader<Reply>((header) => announceReply(header, () => awaited.shift()))
        const whole = Buffer.concat(sent.map((s) => encodePacket(s.reply)))
        const received = cut(whole, places).flatMap((chunk) => [...reader.push(chunk)])
        expect(received).toEqual(sent.map((s) => s.reply))
      }),
    )
  })

  it.each([
    ['an unknown command', { 0: 9 }],
    ['a reply', { 0: 3 }],
    ['a direction', { 12: 2 }],
    ['an endpoint', { 16: 16 }],
    ['a buffer of one byte too many', { 24: MAX_TRANSFER + 1 }],
    ['a negative buffer', { 24: 0xffffffff }],
    ['too many isochronous packets', { 32: 1025 }],
    ['a negative number of isochronous packets', { 32: 0xfffffffe }],
  ])('refuses a command with %s', (_what, words: Record<number, number>) => {
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt32BE(1, 0)
    for (const [at, value] of Object.entries(words)) header.writeUInt32BE(value, Number(at))
    expect(() => announceCommand(header)).toThrow(ProtocolError)
  })

  it('refuses isochronous packets that lie outside of their buffer', () => {
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt32BE(1, 0)
    header.writeUInt32BE(1, 12)
    header.writeInt32BE(100, 24)
    header.writeInt32BE(1, 32)
    const body = Buffer.alloc(16)
    body.writeUInt32BE(90, 0)
    body.writeUInt32BE(11, 4)
    const announced = announceCommand(header)
    expect(announced.bodyBytes).toBe(16)
    expect(() => announced.finish(body)).toThrow(ProtocolError)
  })

  it.each([
    ['that was not asked for', undefined, {}],
    ['longer than asked for', { direction: 'in', length: 8, isoPackets: 0 }, { 24: 9 }],
    ['of a negative length', { direction: 'in', length: 8, isoPackets: 0 }, { 24: 0x80000000 }],
    ['with packets nobody wants', { direction: 'in', length: 8, isoPackets: 0 }, { 32: 1 }],
    ['that is a command', { direction: 'in', length: 8, isoPackets: 0 }, { 0: 1 }],
  ] as const)('refuses a reply %s', (_what, awaited, words: Record<number, number>) => {
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt32BE(3, 0)
    for (const [at, value] of Object.entries(words)) header.writeUInt32BE(value, Number(at))
    expect(() => announceReply(header, () => awaited)).toThrow(ProtocolError)
  })

  it('makes a packet of any header or refuses it, and announces no more than the limit', () => {
    fc.assert(
      fc.property(bytes(HEADER_BYTES), fc.integer({ min: 1, max: 4 }), (header, command) => {
        header.writeUInt32BE(command, 0)
        for (const announce of [
          () => announceCommand(header),
          () => announceReply(header, () => ({ direction: 'in', length: 4096, isoPackets: 0 })),
        ]) {
          try {
            expect(announce().bodyBytes).toBeLessThanOrEqual(MAX_TRANSFER + 1024 * 16)
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError)
          }
        }
      }),
      { numRuns: 2000 },
    )
  })
})
