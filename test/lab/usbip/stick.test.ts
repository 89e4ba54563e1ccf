import { readFile } from 'node:fs/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { describe as describeDevice } from '../../../src/lab/devices/describe.ts'
import { openMassStorage, readBlocks, ScsiError, writeBlocks } from '../../../src/lab/usbip/mass-storage.ts'
import { attach, Cleanup, makeImage, plug } from './connect.ts'

const cleanup = new Cleanup()
afterEach(() => cleanup.run())

describe('a stick over USB/IP', () => {
  it.each([5000, 480, 12] as const)('enumerates at %d Mb/s as what it is', async (speed) => {
    const image = await makeImage(cleanup, 8)
    const { device, imported } = await plug(cleanup, {
      kind: 'stick',
      image: image.path,
      speed,
      serial: 'A1',
    })
    expect(imported.facts).toEqual(describeDevice(device))
    expect(imported.facts).toMatchObject({
      vendorId: '0951',
      productId: '1666',
      version: speed === 5000 ? ' 3.00' : ' 2.00',
      speed,
      serial: 'A1',
      maxPacketSize0: speed === 5000 ? 512 : 64,
      interfaces: [{ number: 0, triple: '080650', driver: 'usb-storage', endpoints: 2 }],
    })
  })

  it('reads what the image holds, across commands', async () => {
    const image = await makeImage(cleanup, 1000)
    const { imported } = await plug(cleanup, { kind: 'stick', image: image.path })
    expect(await readBlocks(imported, 0, 1)).toEqual(image.bytes.subarray(0, 512))
    expect((await readBlocks(imported, 3, 700)).equals(image.bytes.subarray(3 * 512, 703 * 512))).toBe(true)
    expect((await readBlocks(imported, 999, 1)).equals(image.bytes.subarray(999 * 512))).toBe(true)
  })

  it('writes into the image and nowhere else', async () => {
    const image = await makeImage(cleanup, 600)
    const { imported } = await plug(cleanup, { kind: 'stick', image: image.path })
    const data = Buffer.alloc(300 * 512, 0xa5)
    await writeBlocks(imported, 250, data)
    const expected = Buffer.from(image.bytes)
    data.copy(expected, 250 * 512)
    expect((await readFile(image.path)).equals(expected)).toBe(true)
    expect((await readBlocks(imported, 0, 600)).equals(expected)).toBe(true)
  })

  it('says who it is and how large', async () => {
    const image = await makeImage(cleanup, 64)
    const { imported } = await plug(cleanup, { kind: 'stick', image: image.path, manufacturer: 'ACME' })
    const unit = await openMassStorage(imported)
    expect(unit).toMatchObject({ vendor: 'ACME', product: 'DataTraveler 3.0', blocks: 64, blockBytes: 512 })
    expect(unit.readOnly).toBe(false)
  })

  it('refuses blocks beyond its end with sense data, and works on', async () => {
    const image = await makeImage(cleanup, 64)
    const { imported } = await plug(cleanup, { kind: 'stick', image: image.path })
    const unit = await openMassStorage(imported)
    await expect(unit.readBlocks(64, 1)).rejects.toBeInstanceOf(ScsiError)
    await expect(unit.readBlocks(64, 1)).rejects.toMatchObject({ key: 5, code: 0x21 })
    await expect(unit.writeBlocks(63, Buffer.alloc(1024))).rejects.toMatchObject({ key: 5, code: 0x21 })
    expect(await unit.readBlocks(63, 1)).toEqual(image.bytes.subarray(63 * 512))
  })

  it('can be exported again after its link has closed in the middle of a command', async () => {
    const image = await makeImage(cleanup, 2000)
    const { device, imported, exported } = await plug(cleanup, { kind: 'stick', image: image.path })
    const unit = await openMassStorage(imported)
    const read = unit.readBlocks(0, 2000)
    exported.close()
    await expect(read).rejects.toMatchObject({ code: 'ENODEV' })
    expect(await exported.done).toEqual({ reason: 'closed' })
    const again = await attach(cleanup, device)
    expect(await readBlocks(again.imported, 1, 1)).toEqual(image.bytes.subarray(512, 1024))
  })
})
