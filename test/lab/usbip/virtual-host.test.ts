import type { Socket } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { createDevice } from '../../../src/lab/devices/create.ts'
import { CTAPHID, packMessage } from '../../../src/lab/devices/ctap-hid.ts'
import { describe as describeDevice } from '../../../src/lab/devices/describe.ts'
import { Keyboard } from '../../../src/lab/devices/keyboard.ts'
import { DEVICE_KINDS, type DeviceKind } from '../../../src/lab/devices/kinds.ts'
import { Thermometer } from '../../../src/lab/devices/thermometer.ts'
import { serveDevice } from '../../../src/lab/usbip/exporter.ts'
import { readTemperature } from '../../../src/lab/usbip/go-temp.ts'
import { openMassStorage, readBlocks } from '../../../src/lab/usbip/mass-storage.ts'
import { importDevice } from '../../../src/lab/usbip/virtual-host.ts'
import { Cleanup, DEVID, makeImage, plug, socketPair } from './connect.ts'

const cleanup = new Cleanup()
afterEach(() => cleanup.run())

const getDevice = { requestType: 0x80, request: 6, value: 0x0100, index: 0, length: 18 }

describe('importing', () => {
  it.each(Object.keys(DEVICE_KINDS) as DeviceKind[])('reads of a %s what the backend shows', async (kind) => {
    const { path } = await makeImage(cleanup, 8)
    const { device, imported } = await plug(cleanup, { kind, image: path })
    expect(imported.facts).toEqual(describeDevice(device))
    expect(imported.facts.interfaces.every((i) => i.driver !== null)).toBe(true)
  })

  it('tells two webcams apart by nothing', async () => {
    const [one, two] = await Promise.all([
      plug(cleanup, { kind: 'webcam' }),
      plug(cleanup, { kind: 'webcam' }),
    ])
    expect(one.imported.facts).toEqual(two.imported.facts)
    expect(one.imported.facts).toMatchObject({
      serial: null,
      interfaces: [{ triple: '0e0100' }, { triple: '0e0200', alternate: 0 }],
    })
  })

  it('lets hostile strings through as the kernel would show them', async () => {
    const hostile = {
      manufacturer: '\x1b[31mred\x1b[0m \u202egnp.exe',
      product: 'half \ud83d pair \ude00 and \ud83d\ude00 whole',
      serial: `line\nfeed\0behind the end${'x'.repeat(300)}`,
    }
    const { device, imported } = await plug(cleanup, { kind: 'security-key', ...hostile })
    expect(imported.facts).toMatchObject({
      manufacturer: hostile.manufacturer,
      product: 'half  pair  and \ud83d\ude00 whole',
      serial: 'line\nfeed',
    })
    expect(device.strings).toContain(hostile.product)
    // On the wire they are whole, broken surrogates and all.
    const setup = { requestType: 0x80, request: 6, value: 0x0302, index: 0x409, length: 255 }
    const bytes = await imported.control(setup)
    expect(bytes.subarray(2).toString('utf16le')).toBe(hostile.product)
  })

  it('carries any string of up to 126 units over the wire', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(0xffff), { minLength: 1, maxLength: 200 }), async (units) => {
        const serial = String.fromCharCode(...units)
        const { device, imported } = await plug(cleanup, { kind: 'keyboard', serial })
        expect(imported.facts).toEqual(describeDevice(device))
        await cleanup.run()
      }),
      { numRuns: 25 },
    )
  })

  it.each([
    ['closes at once', (s: Socket) => s.end()],
    ['sends noise', (s: Socket) => s.write(Buffer.alloc(100, 7))],
    [
      'answers a transfer that was never sent',
      (s: Socket) => s.write(Buffer.concat([Buffer.from([0, 0, 0, 3, 0, 0, 1, 0]), Buffer.alloc(40)])),
    ],
    ['says nothing', () => {}],
  ])('rejects and hangs up when the backend %s', async (_what, act) => {
    const [client, served] = await socketPair(cleanup)
    served.on('error', () => {})
    act(served)
    const signal = AbortSignal.timeout(200)
    await expect(importDevice(client, { devid: DEVID, speed: 480, signal })).rejects.toThrow()
    expect(client.destroyed).toBe(true)
  })

  it.each([
    ['a device descriptor cut short', 0x0100, 18, (b: Buffer) => b.subarray(0, 10)],
    ['an impossible packet size', 0x0100, 8, (b: Buffer) => b.fill(3, 7, 8)],
    ['no configuration', 0x0100, 18, (b: Buffer) => b.fill(0, 17, 18)],
    ['a descriptor of no length', 0x0200, 34, (b: Buffer) => b.fill(0, 9, 10)],
    ['a total length that is not true', 0x0200, 9, (b: Buffer) => b.fill(0xff, 2, 3)],
  ])('rejects %s', async (_what, value, length, spoil) => {
    const device = await createDevice({ kind: 'keyboard' })
    const honest = device.control.bind(device)
    device.control = async (setup, data, signal) => {
      const answer = await honest(setup, data, signal)
      const asked = setup.request === 6 && setup.value === value
      const matches = asked && answer.length >= length
      return matches ? spoil(Buffer.from(answer)) : answer
    }
    const [client, served] = await socketPair(cleanup)
    serveDevice(device, served)
    await expect(importDevice(client, { devid: DEVID, speed: 1.5 })).rejects.toMatchObject({
      name: 'DescriptorError',
    })
    expect(client.destroyed).toBe(true)
  })

  it('does not reach a device that is not the one it was promised', async () => {
    const [client, served] = await socketPair(cleanup)
    serveDevice(await createDevice({ kind: 'keyboard' }), served, { devid: DEVID })
    await expect(importDevice(client, { devid: 1, speed: 1.5 })).rejects.toMatchObject({ code: 'ENODEV' })
  })
})

describe('transfers of an imported device', () => {
  it('types', async () => {
    const { device, imported } = await plug(cleanup, { kind: 'keyboard', speed: 12 })
    const pending = imported.transferIn(0x81, 8)
    if (!(device instanceof Keyboard)) throw new Error('not a keyboard')
    device.type('hi')
    expect((await pending)[2]).toBe(11)
    expect((await imported.transferIn(0x81, 8))[2]).toBe(0)
    expect((await imported.transferIn(0x81, 8))[2]).toBe(12)
    const leds = { requestType: 0x21, request: 9, value: 0x0200, index: 0, length: 1 }
    await imported.control(leds, Buffer.from([2]))
    expect(device.leds).toBe(2)
  })

  it.each([21.5, -10.25, 0, 99.9921875])('measures %d degrees', async (temperature) => {
    const { device, imported } = await plug(cleanup, { kind: 'thermometer', temperature })
    expect(await readTemperature(imported)).toBe(temperature)
    if (!(device instanceof Thermometer)) throw new Error('not a thermometer')
    device.temperature = 5
    expect(await readTemperature(imported)).toBe(5)
  })

  it('talks CTAPHID with a security key', async () => {
    const { imported } = await plug(cleanup, { kind: 'security-key' })
    const nonce = Buffer.from('0011223344556677', 'hex')
    for (const packet of packMessage(CTAPHID.broadcast, CTAPHID.init, nonce))
      await imported.transferOut(0x04, packet)
    const opened = await imported.transferIn(0x84, 64)
    expect(opened.subarray(7, 15)).toEqual(nonce)
    const channel = opened.readUInt32BE(15)
    const message = Buffer.from(Array.from({ length: 300 }, (_, i) => i & 0xff))
    for (const packet of packMessage(channel, CTAPHID.ping, message)) await imported.transferOut(0x04, packet)
    for (const packet of packMessage(channel, CTAPHID.ping, message)) {
      expect(await imported.transferIn(0x84, 64)).toEqual(packet)
    }
  })

  it('gets back from a serial adapter what it sends', async () => {
    const { imported } = await plug(cleanup, { kind: 'serial' })
    await imported.transferOut(0x02, Buffer.from('hello'))
    expect((await imported.transferIn(0x81, 64)).toString('latin1', 2)).toBe('hello')
  })

  it('rejects a stall with EPIPE and works on', async () => {
    const { imported } = await plug(cleanup, { kind: 'webcam' })
    await expect(imported.control({ ...getDevice, value: 0x0f00 })).rejects.toMatchObject({ code: 'EPIPE' })
    await expect(imported.transferOut(0x05, Buffer.from([1]))).rejects.toMatchObject({ code: 'EPIPE' })
    expect(await imported.control(getDevice)).toHaveLength(18)
  })

  it('gives a transfer up in time, without losing what the device has to say', async () => {
    const { device, imported } = await plug(cleanup, { kind: 'keyboard' })
    const given = imported.transferIn(0x81, 8, { signal: AbortSignal.timeout(20) })
    await expect(given).rejects.toMatchObject({ code: 'ECONNRESET' })
    await expect(imported.transferIn(0x81, 8, { signal: AbortSignal.abort() })).rejects.toThrow()
    // The UNLINK went ahead of this transfer, so its end proves that the UNLINK was answered.
    await imported.control(getDevice)
    if (!(device instanceof Keyboard)) throw new Error('not a keyboard')
    device.type('x')
    expect((await imported.transferIn(0x81, 8))[2]).toBe(27)
  })

  it('gives a transfer up in time when the link is stalled', async () => {
    const { path } = await makeImage(cleanup, 64)
    const { exported, imported } = await plug(cleanup, { kind: 'stick', image: path })
    exported.stall()
    const signal = AbortSignal.timeout(50)
    await expect(readBlocks(imported, 0, 1, { signal })).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(imported.isGone).toBe(false)
    exported.resume()
    expect(await imported.control(getDevice)).toHaveLength(18)
  })

  it.each(['backend', 'frontend', 'broken'] as const)(
    'rejects all that is pending when the link ends: %s',
    async (side) => {
      const { path } = await makeImage(cleanup, 64)
      const { exported, imported, client } = await plug(cleanup, { kind: 'stick', image: path })
      await openMassStorage(imported)
      const pending = [imported.transferIn(0x81, 512), imported.transferIn(0x81, 512)]
      const outcomes = Promise.allSettled(pending)
      if (side === 'backend') exported.close()
      else if (side === 'frontend') imported.close()
      else client.destroy(new Error('cable cut'))
      for (const outcome of await outcomes) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ENODEV' } })
      }
      const reason = await imported.gone
      // Depending on what was under way the kernel tells an end of file or a reset.
      if (side === 'backend') expect(reason).toBeInstanceOf(Error)
      else expect(reason?.message ?? null).toBe(side === 'broken' ? 'cable cut' : null)
      expect(imported.isGone).toBe(true)
      await expect(imported.control(getDevice)).rejects.toMatchObject({ code: 'ENODEV' })
      await expect(readBlocks(imported, 0, 1)).rejects.toMatchObject({ code: 'ENODEV' })
      await exported.done
    },
  )
})
