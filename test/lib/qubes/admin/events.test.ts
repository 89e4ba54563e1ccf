import type { Socket } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { type StreamEvent, streamEvents } from '../../../../src/lib/qubes/admin/event-stream.ts'
import {
  type AdminEvent,
  EventReader,
  readEvent,
  StreamError,
} from '../../../../src/lib/qubes/admin/events.ts'
import { type FakeQubesd, startFakeQubesd } from './fake-qubesd.ts'

const CONNECTED = '1\0\0connection-established\0\0'
const ADDED = '1\0sys-usb\0device-added:usb\0device\0sys-usb:2-1:1050:0407::u030101\0\0'

function read(text: string | Buffer): (AdminEvent | undefined)[] {
  return [...new EventReader().read(Buffer.from(text as string))].map(readEvent)
}

describe('records', () => {
  it.each([
    [CONNECTED, { kind: 'connected' }],
    [
      ADDED,
      {
        kind: 'device-added',
        backend: 'sys-usb',
        port: '2-1',
        identity: {
          vendorId: '1050',
          productId: '0407',
          serial: null,
          serialUnsafe: false,
          interfaces: ['030101'],
        },
      },
    ],
    [
      '1\0sys-usb\0device-added:usb\0device\0sys-usb:2-1:0000:0000::?******\0\0',
      { kind: 'device-added', backend: 'sys-usb', port: '2-1', identity: null },
    ],
    [
      '1\0sys-usb\0device-removed:usb\0port\0sys-usb:2-1\0\0',
      { kind: 'device-removed', backend: 'sys-usb', port: '2-1' },
    ],
    [
      '1\0work\0device-attach:usb\0device\0sys-usb:2-5:058f:6387:A:B:u080650\0options\0{}\0\0',
      { kind: 'device-attach', frontend: 'work', backend: 'sys-usb', port: '2-5' },
    ],
    [
      '1\0work\0device-detach:usb\0port\0sys-usb:2-5\0\0',
      { kind: 'device-detach', frontend: 'work', backend: 'sys-usb', port: '2-5' },
    ],
    ['1\0work\0domain-start\0start_guid\0\0\0', { kind: 'domain-start', qube: 'work' }],
    ['1\0work\0property-set:label\0name\0label\0newvalue\0\0\0', undefined],
    ['1\0work\0device-added:usb\0device\0sys-usb:2-1:x\0\0', undefined],
    ['1\0sys-usb\0device-added:usb\0device\0sys-usb:../x:1050:0407::u030101\0\0', undefined],
    ['1\0bad name\0domain-start\0\0', undefined],
    ['1\0work\0device-attach:usb\0\0', undefined],
  ])('%j', (text, event) => {
    expect(read(text)).toEqual([event])
  })

  it('arrive whole wherever the stream is cut', () => {
    const all = Buffer.from(CONNECTED + ADDED + ADDED)
    fc.assert(
      fc.property(fc.array(fc.nat(all.length), { maxLength: 12 }), (cuts) => {
        const reader = new EventReader()
        const places = [0, ...cuts.sort((a, b) => a - b), all.length]
        const records = places.flatMap((at, i) => [
          ...reader.read(all.subarray(at, places[i + 1] ?? all.length)),
        ])
        expect(records.map(({ name }) => name)).toEqual([
          'connection-established',
          'device-added:usb',
          'device-added:usb',
        ])
      }),
    )
  })

  it.each([
    ['an answer', '0\0data'],
    ['no NUL behind the head', '1x'],
    ['a field without end', `1\0${'x'.repeat(140_000)}`],
    ['fields without end', `1\0work\0x\0${'k\0v\0'.repeat(600)}`],
  ])('%s is no stream', (_, text) => {
    expect(() => read(text)).toThrow(StreamError)
  })

  it('are clean or nothing, whatever they say', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replaceAll('\0', '')),
          {
            minLength: 1,
          },
        ),
        fc.constantFrom('device-added:usb', 'device-attach:usb', 'domain-start', 'x'),
        fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replaceAll('\0', '')),
        (fields, name, serial) => {
          const text = `1\0sys-usb\0${name}\0device\0sys-usb:2-1:1050:0407:${serial}:u030101\0${fields
            .map((field) => `k${field}\0${field}\0`)
            .join('')}\0`
          const event = read(text)[0]
          expect(JSON.stringify(event ?? null)).not.toMatch(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}]/u)
        },
      ),
      { numRuns: 2000 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          read(Buffer.from(bytes))
        } catch (error) {
          expect(error).toBeInstanceOf(StreamError)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('the stream', () => {
  let fake: FakeQubesd | undefined
  const controller = new AbortController()
  afterEach(async () => {
    await fake?.close()
    fake = undefined
  })

  it('is taken up again when it ends, breaks or makes no sense, and stops when it should', async () => {
    const replies: ((socket: Socket) => void)[] = [
      (socket) => socket.end(CONNECTED + ADDED),
      (socket) => socket.destroy(),
      (socket) => socket.write(`${CONNECTED}nonsense`),
      (socket) => socket.write(CONNECTED),
    ]
    fake = await startFakeQubesd(() => replies.shift() ?? '')
    const seen: StreamEvent[] = []
    for await (const event of streamEvents(fake.site, controller.signal)) {
      seen.push(event)
      if (seen.filter(({ kind }) => kind === 'connected').length === 3) controller.abort()
    }
    expect(seen.map(({ kind }) => kind)).toEqual([
      'connected',
      'device-added',
      'lost',
      'lost',
      'connected',
      'lost',
      'connected',
    ])
    expect(fake.requests).toEqual(Array(4).fill('admin.Events+ dom0 name dom0\0'))
  })
})
