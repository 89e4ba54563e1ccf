import { afterEach, describe, expect, it } from 'vitest'
import { createDevice } from '../../../src/lab/devices/create.ts'
import { describe as describeDevice } from '../../../src/lab/devices/describe.ts'
import type { EmulatedDevice, SetupPacket } from '../../../src/lab/devices/emulated.ts'
import { DEVICE_KINDS, type DeviceKind, type DeviceOptions } from '../../../src/lab/devices/kinds.ts'
import { Cleanup, makeImage } from '../usbip/connect.ts'

const cleanup = new Cleanup()
afterEach(() => cleanup.run())
const signal = new AbortController().signal

async function make(options: DeviceOptions): Promise<EmulatedDevice> {
  const device = await createDevice({ image: (await makeImage(cleanup, 8)).path, ...options })
  cleanup.add(() => device.close())
  return device
}

function ask(device: EmulatedDevice, requestType: number, request: number, rest: Partial<SetupPacket> = {}) {
  return device.control(
    { requestType, request, value: 0, index: 0, length: 0, ...rest },
    Buffer.alloc(0),
    signal,
  )
}

const descriptor = (device: EmulatedDevice, value: number, length = 255, index = 0) =>
  ask(device, 0x80, 6, { value, length, index })

const kinds = Object.keys(DEVICE_KINDS) as DeviceKind[]

describe('standard requests', () => {
  it.each(kinds)('give the descriptors of a %s at the length asked for', async (kind) => {
    const device = await make({ kind })
    expect(await descriptor(device, 0x0100)).toEqual(device.descriptors.subarray(0, 18))
    expect(await descriptor(device, 0x0100, 8)).toEqual(device.descriptors.subarray(0, 8))
    const configuration = await descriptor(device, 0x0200, 0xffff)
    expect(configuration).toEqual(device.descriptors.subarray(18))
    expect(configuration.readUInt16LE(2)).toBe(configuration.length)
  })

  it.each(kinds)('of a %s: configuration, interface and status follow each other', async (kind) => {
    const device = await make({ kind })
    expect(await ask(device, 0x80, 8, { length: 1 })).toEqual(Buffer.from([0]))
    await expect(ask(device, 0x81, 10, { length: 1 })).rejects.toThrow('stalled')
    await expect(ask(device, 0x00, 9, { value: 2 })).rejects.toThrow('stalled')
    await ask(device, 0x00, 9, { value: 1 })
    expect(await ask(device, 0x80, 8, { length: 1 })).toEqual(Buffer.from([1]))
    expect(await ask(device, 0x81, 10, { length: 1 })).toEqual(Buffer.from([0]))
    expect(await ask(device, 0x80, 0, { length: 2 })).toEqual(Buffer.from([0, 0]))
    await ask(device, 0x01, 11, { value: 0, index: 0 })
    await expect(ask(device, 0x01, 11, { value: 1, index: 7 })).rejects.toThrow('stalled')
    device.reset()
    expect(await ask(device, 0x80, 8, { length: 1 })).toEqual(Buffer.from([0]))
  })

  it('know languages and strings, and no others', async () => {
    const device = await make({ kind: 'security-key', serial: 'S1' })
    expect((await descriptor(device, 0x0300)).toString('hex')).toBe('04030904')
    expect((await descriptor(device, 0x0303, 255, 0x409)).toString('hex')).toBe('060353003100')
    await expect(descriptor(device, 0x0304, 255, 0x409)).rejects.toThrow('stalled')
    const silent = await make({ kind: 'keyboard', manufacturer: null, product: null })
    await expect(descriptor(silent, 0x0300)).rejects.toThrow('stalled')
  })

  it.each([
    [5000, 'answered', 'stalled', 'stalled'],
    [480, 'stalled', 'answered', 'answered'],
    [12, 'stalled', 'stalled', 'stalled'],
  ] as const)('at %d Mb/s: object store %s, qualifier %s, other speed %s', async (speed, ...expected) => {
    const device = await make({ kind: 'stick', speed })
    for (const [i, value] of [0x0f00, 0x0600, 0x0700].entries()) {
      const outcome = descriptor(device, value).then(
        (bytes) =>
          bytes.length === (value === 0x0f00 ? 22 : value === 0x0600 ? 10 : 32) ? 'answered' : 'odd',
        () => 'stalled',
      )
      expect(await outcome).toBe(expected[i])
    }
  })

  it('name the endpoints of each speed by its packet sizes, with companions at SuperSpeed', async () => {
    const sizes = { 5000: [1024, 1024], 480: [512, 512], 12: [64, 64] } as const
    for (const speed of [5000, 480, 12] as const) {
      const { descriptors } = await make({ kind: 'stick', speed })
      const found: number[] = []
      let companions = 0
      for (let at = 0; at < descriptors.length; at += descriptors.readUInt8(at)) {
        if (descriptors[at + 1] === 5) found.push(descriptors.readUInt16LE(at + 4))
        if (descriptors[at + 1] === 0x30) companions++
      }
      expect(found).toEqual(sizes[speed])
      expect(companions).toBe(speed === 5000 ? 2 : 0)
    }
  })

  it('halt an endpoint and free it again', async () => {
    const device = await make({ kind: 'keyboard' })
    await ask(device, 0x00, 9, { value: 1 })
    await ask(device, 0x02, 3, { value: 0, index: 0x81 })
    expect(await ask(device, 0x82, 0, { index: 0x81, length: 2 })).toEqual(Buffer.from([1, 0]))
    await expect(device.transferIn(0x81, 8, signal)).rejects.toThrow('stalled')
    await ask(device, 0x02, 1, { value: 0, index: 0x81 })
    expect(await ask(device, 0x82, 0, { index: 0x81, length: 2 })).toEqual(Buffer.from([0, 0]))
    await expect(ask(device, 0x02, 1, { value: 0, index: 0x83 })).rejects.toThrow('stalled')
  })

  it('remember remote wake-up where the device can', async () => {
    const keyboard = await make({ kind: 'keyboard' })
    await ask(keyboard, 0x00, 3, { value: 1 })
    expect(await ask(keyboard, 0x80, 0, { length: 2 })).toEqual(Buffer.from([2, 0]))
    await expect(ask(await make({ kind: 'stick' }), 0x00, 3, { value: 1 })).rejects.toThrow('stalled')
  })

  it.each(['keyboard', 'security-key', 'thermometer'] as const)(
    'give the report descriptor of a %s',
    async (kind) => {
      const device = await make({ kind })
      const { interfaces, descriptors } = describeDevice(device)
      let number = -1
      for (let at = 0; at < descriptors.length; at += descriptors.readUInt8(at)) {
        if (descriptors[at + 1] === 4) number = descriptors.readUInt8(at + 2)
        if (descriptors[at + 1] !== 0x21) continue
        const report = await ask(device, 0x81, 6, { value: 0x2200, index: number, length: 4096 })
        expect(report.length).toBe(descriptors.readUInt16LE(at + 7))
        expect(report.at(-1)).toBe(0xc0)
        const hid = await ask(device, 0x81, 6, { value: 0x2100, index: number, length: 9 })
        expect(hid).toEqual(descriptors.subarray(at, at + 9))
      }
      expect(number).toBe(interfaces.length - 1)
      await expect(ask(device, 0x81, 6, { value: 0x2200, index: 9, length: 64 })).rejects.toThrow('stalled')
    },
  )

  it('of HID: idle and protocol are kept until a reset', async () => {
    const device = await make({ kind: 'keyboard' })
    await ask(device, 0x21, 10, { value: 0x7d00 })
    await ask(device, 0x21, 11, { value: 0 })
    expect(await ask(device, 0xa1, 2, { length: 1 })).toEqual(Buffer.from([0x7d]))
    expect(await ask(device, 0xa1, 3, { length: 1 })).toEqual(Buffer.from([0]))
    device.reset()
    expect(await ask(device, 0xa1, 3, { length: 1 })).toEqual(Buffer.from([1]))
  })
})
