import { truncate } from 'node:fs/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { createDevice } from '../../../src/lab/devices/create.ts'
import { describe as describeDevice } from '../../../src/lab/devices/describe.ts'
import { DescriptorError, readDescriptors } from '../../../src/lab/devices/read-facts.ts'
import { Cleanup, makeImage } from '../usbip/connect.ts'

const cleanup = new Cleanup()
afterEach(() => cleanup.run())

describe('making devices', () => {
  it.each([
    ['stick', '0951:1666', 5000, ['080650'], ['usb-storage']],
    ['keyboard', '046d:c31c', 1.5, ['030101'], ['usbhid']],
    ['security-key', '1050:0407', 12, ['030101', '030000'], ['usbhid', 'usbhid']],
    ['thermometer', '08f7:0002', 1.5, ['030000'], ['usbhid']],
    ['webcam', '046d:0825', 480, ['0e0100', '0e0200'], ['uvcvideo', 'uvcvideo']],
    ['serial', '0403:6001', 12, ['ffffff'], ['ftdi_sio']],
  ] as const)('a %s is %s at %d Mb/s', async (kind, id, speed, triples, drivers) => {
    const device = await createDevice({ kind, image: (await makeImage(cleanup, 8)).path })
    cleanup.add(() => device.close())
    const facts = describeDevice(device)
    expect(`${facts.vendorId}:${facts.productId}`).toBe(id)
    expect(facts.speed).toBe(speed)
    expect(facts.interfaces.map((i) => i.triple)).toEqual(triples)
    expect(facts.interfaces.map((i) => i.driver)).toEqual(drivers)
  })

  it('has everything asked for in its facts', async () => {
    const device = await createDevice({
      kind: 'webcam',
      vendorId: 'ABCD',
      productId: '0001',
      manufacturer: 'Maker',
      product: 'Thing',
      serial: 'S',
    })
    expect(describeDevice(device)).toMatchObject({
      vendorId: 'abcd',
      productId: '0001',
      bcdDevice: '0012',
      version: ' 2.00',
      deviceClass: 'ef',
      deviceSubclass: '02',
      deviceProtocol: '01',
      manufacturer: 'Maker',
      product: 'Thing',
      serial: 'S',
      configurations: 1,
      configurationValue: 1,
      attributes: '80',
      maxPower: '500mA',
    })
  })

  it.each([
    [{ kind: 'stick' }, 'image'],
    [{ kind: 'keyboard', speed: 5000 }, 'speed'],
    [{ kind: 'webcam', vendorId: '12' }, 'vendorId'],
    [{ kind: 'webcam', productId: '12g4' }, 'productId'],
    [{ kind: 'stick', image: '/nowhere/at.all' }, 'no such file'],
  ] as const)('says which option cannot be: %j', async (options, word) => {
    await expect(createDevice(options)).rejects.toThrow(word)
  })

  it.each([0, 511, 513])('refuses an image of %d bytes', async (size) => {
    const { path } = await makeImage(cleanup, 2)
    await truncate(path, size)
    await expect(createDevice({ kind: 'stick', image: path })).rejects.toThrow('blocks of 512')
  })

  it('closes twice as once', async () => {
    const device = await createDevice({ kind: 'stick', image: (await makeImage(cleanup, 1)).path })
    await Promise.all([device.close(), device.close()])
    await device.close()
    expect(device.kind).toBe('stick')
  })
})

describe('reading descriptors', () => {
  it('refuses every cut of a true one, except where a whole interface is missing', async () => {
    const { descriptors } = await createDevice({ kind: 'security-key' })
    const whole = readDescriptors(descriptors)
    for (let length = 0; length < descriptors.length; length++) {
      try {
        const cut = readDescriptors(descriptors.subarray(0, length))
        expect(cut.facts.interfaces.length).toBeLessThanOrEqual(whole.facts.interfaces.length)
      } catch (error) {
        expect(error).toBeInstanceOf(DescriptorError)
      }
    }
    expect(() => readDescriptors(descriptors.subarray(0, 17))).toThrow(DescriptorError)
    expect(() => readDescriptors(descriptors.subarray(0, 18))).toThrow(DescriptorError)
    expect(() => readDescriptors(descriptors.subarray(0, 30))).toThrow(DescriptorError)
  })
})
