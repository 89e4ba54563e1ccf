import { afterEach, describe, expect, it } from 'vitest'
import { createDevice } from '../../../src/lab/devices/create.ts'
import { CTAPHID, packMessage } from '../../../src/lab/devices/ctap-hid.ts'
import type { EmulatedDevice } from '../../../src/lab/devices/emulated.ts'
import { Keyboard } from '../../../src/lab/devices/keyboard.ts'
import type { DeviceKind } from '../../../src/lab/devices/kinds.ts'
import { GO_TEMP } from '../../../src/lab/devices/thermometer.ts'
import { Cleanup } from '../usbip/connect.ts'

const cleanup = new Cleanup()
afterEach(() => cleanup.run())

async function configured(kind: DeviceKind, temperature?: number): Promise<EmulatedDevice> {
  const device = await createDevice({ kind, ...(temperature === undefined ? {} : { temperature }) })
  cleanup.add(() => device.close())
  await control(device, 0x00, 9, 1)
  return device
}

function control(
  device: EmulatedDevice,
  requestType: number,
  request: number,
  value: number,
  data = Buffer.alloc(0),
) {
  const setup = { requestType, request, value, index: 0, length: data.length }
  return device.control(setup, data, AbortSignal.timeout(5000))
}

const take = (device: EmulatedDevice, endpoint: number, length: number) =>
  device.transferIn(endpoint, length, AbortSignal.timeout(5000))

/** Whether an endpoint has nothing to say, which shows by a transfer that waits. */
async function isSilent(device: EmulatedDevice, endpoint: number): Promise<boolean> {
  const outcome = device.transferIn(endpoint, 64, AbortSignal.timeout(20)).then(
    () => false,
    () => true,
  )
  return outcome
}

describe('the keyboard', () => {
  it.each([
    ['a', 0, 4],
    ['Z', 2, 29],
    ['1', 0, 30],
    ['0', 0, 39],
    ['\n', 0, 40],
    [' ', 0, 44],
  ] as const)('has a key for %j', async (character, modifier, usage) => {
    const device = await configured('keyboard')
    if (!(device instanceof Keyboard)) throw new Error('not a keyboard')
    device.type(character)
    expect(await take(device, 0x81, 8)).toEqual(Buffer.from([modifier, 0, usage, 0, 0, 0, 0, 0]))
    expect(await take(device, 0x81, 8)).toEqual(Buffer.alloc(8))
  })

  it('types all of a text or nothing of it', async () => {
    const device = await configured('keyboard')
    if (!(device instanceof Keyboard)) throw new Error('not a keyboard')
    expect(() => device.type('ab\u20ac')).toThrow(RangeError)
    expect(await isSilent(device, 0x81)).toBe(true)
  })
})

describe('the thermometer', () => {
  const command = (device: EmulatedDevice, number: number, report = 0x0200, ...parameters: number[]) => {
    const bytes = Buffer.alloc(8)
    bytes.set([number, ...parameters])
    return control(device, 0x21, 9, report, bytes)
  }

  it('answers commands, and says nothing before it is started', async () => {
    const device = await configured('thermometer', 20)
    expect(await isSilent(device, 0x81)).toBe(true)
    await command(device, GO_TEMP.init)
    expect((await take(device, 0x81, 8)).toString('hex')).toBe('9a1a000000000000')
    expect(await isSilent(device, 0x81)).toBe(true)
    await command(device, 0x77)
    expect((await take(device, 0x81, 8)).subarray(0, 2).toString('hex')).toBe('7a77')
  })

  it.each([0x0200, 0x0100])(
    'measures on, with a rolling counter, after a start as report %d',
    async (report) => {
      const device = await configured('thermometer', 20.25)
      await command(device, GO_TEMP.setPeriod, report, 10)
      await command(device, GO_TEMP.start, report)
      expect((await take(device, 0x81, 8)).toString('hex')).toBe('5a18000000000000')
      for (const counter of [0, 1, 2]) {
        const packet = await take(device, 0x81, 8)
        expect([packet[0], packet[1], packet.readInt16LE(2)]).toEqual([1, counter, 20.25 * 128])
      }
      await command(device, GO_TEMP.stop, report)
      expect((await take(device, 0x81, 8)).toString('hex')).toBe('5a19000000000000')
      expect(await isSilent(device, 0x81)).toBe(true)
    },
  )

  it('forgets at a reset that it was started', async () => {
    const device = await configured('thermometer')
    await command(device, GO_TEMP.start)
    device.reset()
    await control(device, 0x00, 9, 1)
    expect(await isSilent(device, 0x81)).toBe(true)
  })

  it('refuses reports that are no commands', async () => {
    const device = await configured('thermometer')
    await expect(control(device, 0x21, 9, 0x0200, Buffer.alloc(9))).rejects.toThrow('stalled')
    await expect(control(device, 0x21, 9, 0x0300, Buffer.alloc(8))).rejects.toThrow('stalled')
  })
})

describe('the security key', () => {
  const say = async (device: EmulatedDevice, packets: Buffer[]) => {
    for (const packet of packets) await device.transferOut(0x04, packet, AbortSignal.timeout(5000))
  }
  const hear = async (device: EmulatedDevice) => {
    const packet = await take(device, 0x84, 64)
    const length = packet.readUInt16BE(5)
    return {
      channel: packet.readUInt32BE(0),
      command: packet.readUInt8(4) & 0x7f,
      data: packet.subarray(7, 7 + length),
    }
  }
  const open = async (device: EmulatedDevice) => {
    await say(device, packMessage(CTAPHID.broadcast, CTAPHID.init, Buffer.alloc(8, 9)))
    return (await hear(device)).data.readUInt32BE(8)
  }

  it('gives each caller a channel of its own', async () => {
    const device = await configured('security-key')
    const first = await open(device)
    const second = await open(device)
    expect(first).not.toBe(second)
    await say(device, packMessage(second, CTAPHID.wink, Buffer.alloc(0)))
    expect(await hear(device)).toMatchObject({ channel: second, command: CTAPHID.wink })
  })

  it.each([
    ['an unknown command', (channel: number) => packMessage(channel, 0x30, Buffer.from('x')), 1],
    ['a channel that was never given', () => packMessage(77, CTAPHID.ping, Buffer.from('x')), 0x0b],
    ['a nonce too short', () => packMessage(CTAPHID.broadcast, CTAPHID.init, Buffer.alloc(7)), 3],
    [
      'a length beyond the largest',
      (channel: number) => {
        const [packet = Buffer.alloc(64)] = packMessage(channel, CTAPHID.ping, Buffer.alloc(1))
        packet.writeUInt16BE(7610, 5)
        return [packet]
      },
      3,
    ],
    [
      'a packet out of order',
      (channel: number) => {
        const [first, , third] = packMessage(channel, CTAPHID.ping, Buffer.alloc(200))
        return first && third ? [first, third] : []
      },
      4,
    ],
  ])('answers %s with an error', async (_what, packets, code) => {
    const device = await configured('security-key')
    await say(device, packets(await open(device)))
    expect(await hear(device)).toMatchObject({ command: CTAPHID.error, data: Buffer.from([code]) })
    expect(await isSilent(device, 0x84)).toBe(true)
  })

  it('lets one channel finish before another speaks', async () => {
    const device = await configured('security-key')
    const [mine, theirs] = [await open(device), await open(device)]
    const [first, ...rest] = packMessage(mine, CTAPHID.ping, Buffer.alloc(100, 7))
    if (!first) throw new Error('no packet')
    await say(device, [first, ...packMessage(theirs, CTAPHID.ping, Buffer.from('me'))])
    expect(await hear(device)).toMatchObject({ channel: theirs, data: Buffer.from([6]) })
    await say(device, rest)
    expect(await hear(device)).toMatchObject({ channel: mine, command: CTAPHID.ping })
  })
})
