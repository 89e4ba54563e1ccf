import { readFile, truncate } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDevice } from '../../../src/lab/devices/create.ts'
import type { EmulatedDevice } from '../../../src/lab/devices/emulated.ts'
import { Cleanup, makeImage } from '../usbip/connect.ts'

const cleanup = new Cleanup()
const signal = new AbortController().signal
const BLOCKS = 32
let device: EmulatedDevice
let image: { path: string; bytes: Buffer }

beforeEach(async () => {
  image = await makeImage(cleanup, BLOCKS)
  device = await createDevice({ kind: 'stick', image: image.path, serial: 'SER-1' })
  cleanup.add(() => device.close())
  await control(0x00, 9, 1)
})
afterEach(() => cleanup.run())

function control(requestType: number, request: number, value = 0, index = 0, length = 0) {
  return device.control({ requestType, request, value, index, length }, Buffer.alloc(0), signal)
}

function wrapper(command: string, length: number, toHost: boolean): Buffer {
  const block = Buffer.from(command.replaceAll(' ', ''), 'hex')
  const bytes = Buffer.alloc(31)
  bytes.write('USBC', 'latin1')
  bytes.writeUInt32LE(0x1234, 4)
  bytes.writeUInt32LE(length, 8)
  bytes.writeUInt8(toHost ? 0x80 : 0, 12)
  bytes.writeUInt8(block.length, 14)
  block.copy(bytes, 15)
  return bytes
}

const give = (data: Buffer) => device.transferOut(0x02, data, signal)
const take = (length: number) => device.transferIn(0x81, length, signal)
const stalled = { name: 'UsbStall' }

async function readStatus(): Promise<{ status: number; residue: number }> {
  const bytes = await take(13)
  expect(bytes.toString('latin1', 0, 4)).toBe('USBS')
  expect(bytes.readUInt32LE(4)).toBe(0x1234)
  return { status: bytes.readUInt8(12), residue: bytes.readUInt32LE(8) }
}

/** Asks for `length` bytes and returns what came before the stall, if there is one, and the status. */
async function read(command: string, length: number) {
  await give(wrapper(command, length, true))
  const data = await take(length).catch(() => null)
  let halted = data === null
  const status = await readStatus().catch(async () => {
    halted = true
    await control(0x02, 1, 0, 0x81)
    return readStatus()
  })
  if (halted) await control(0x02, 1, 0, 0x81)
  return { data, halted, ...status }
}

const READ_2_AT_1 = '28 00 00000001 00 0002 00'
const WRITE_2_AT_1 = '2a 00 00000001 00 0002 00'

describe('the cases of host and device (bulk-only transport, section 6.7)', () => {
  it('1: neither wants data', async () => {
    await give(wrapper('00 00 00 00 00 00', 0, false))
    expect(await readStatus()).toEqual({ status: 0, residue: 0 })
  })

  it('2 and 3: the host wants none, the device has some or would take some', async () => {
    await give(wrapper(READ_2_AT_1, 0, true))
    expect(await readStatus()).toEqual({ status: 2, residue: 0 })
    await give(wrapper(WRITE_2_AT_1, 0, false))
    expect(await readStatus()).toEqual({ status: 2, residue: 0 })
    expect((await readFile(image.path)).equals(image.bytes)).toBe(true)
  })

  it('4: the host wants data and there is none', async () => {
    expect(await read('00 00 00 00 00 00', 64)).toEqual({ data: null, halted: true, status: 0, residue: 64 })
  })

  it('5: there is less data than the host wants', async () => {
    const outcome = await read('12 00 00 00 24 00', 100)
    expect(outcome).toMatchObject({ halted: true, status: 0, residue: 64 })
    expect(outcome.data).toHaveLength(36)
  })

  it('6: they agree', async () => {
    const data = image.bytes.subarray(512, 1536)
    expect(await read(READ_2_AT_1, 1024)).toEqual({ data, halted: false, status: 0, residue: 0 })
  })

  it('7: there is more data than the host wants', async () => {
    const data = image.bytes.subarray(512, 1024)
    expect(await read(READ_2_AT_1, 512)).toEqual({ data, halted: false, status: 2, residue: 0 })
  })

  it('8 and 10: they disagree about the direction', async () => {
    expect(await read(WRITE_2_AT_1, 1024)).toMatchObject({ data: null, status: 2, residue: 1024 })
    await give(wrapper(READ_2_AT_1, 1024, false))
    await expect(give(Buffer.alloc(1024))).rejects.toMatchObject(stalled)
    await control(0x02, 1, 0, 0x02)
    expect(await readStatus()).toEqual({ status: 2, residue: 1024 })
    expect((await readFile(image.path)).equals(image.bytes)).toBe(true)
  })

  it('9: the host sends what the device does not want', async () => {
    await give(wrapper('00 00 00 00 00 00', 512, false))
    await expect(give(Buffer.alloc(512))).rejects.toMatchObject(stalled)
    await control(0x02, 1, 0, 0x02)
    expect(await readStatus()).toEqual({ status: 0, residue: 512 })
  })

  it('11 to 13: the host sends more, as much or less than the command says', async () => {
    for (const [length, status, residue] of [
      [1536, 0, 512],
      [1024, 0, 0],
      [512, 2, 0],
    ] as const) {
      await give(wrapper(WRITE_2_AT_1, length, false))
      expect(await give(Buffer.alloc(length, length >> 8))).toBe(length)
      expect(await readStatus()).toEqual({ status, residue })
    }
    const expected = Buffer.from(image.bytes).fill(4, 512, 1536).fill(2, 512, 1024)
    expect((await readFile(image.path)).equals(expected)).toBe(true)
  })
})

describe('the stick', () => {
  it('takes data in whatever pieces it comes', async () => {
    const data = Buffer.from(Array.from({ length: 1024 }, (_, i) => (i * 11) & 0xff))
    await give(wrapper(WRITE_2_AT_1, 1024, false))
    for (const [from, to] of [
      [0, 100],
      [100, 700],
      [700, 1024],
    ] as const) {
      await give(data.subarray(from, to))
    }
    expect(await readStatus()).toEqual({ status: 0, residue: 0 })
    await give(wrapper(READ_2_AT_1, 1024, true))
    expect(Buffer.concat([await take(1), await take(1000), await take(1024)])).toEqual(data)
    expect(await readStatus()).toEqual({ status: 0, residue: 0 })
  })

  it('waits with an answer until it was asked', async () => {
    const early = take(36)
    await give(wrapper('12 00 00 00 24 00', 36, true))
    expect((await early).toString('latin1', 8, 16)).toBe('Kingston')
    const abort = new AbortController()
    const status = await readStatus()
    const idle = device.transferIn(0x81, 13, abort.signal)
    abort.abort(new Error('enough'))
    await expect(idle).rejects.toThrow('enough')
    expect(status.status).toBe(0)
  })

  it.each([
    ['a wrong signature', (b: Buffer) => b.fill(0, 0, 4)],
    ['another unit', (b: Buffer) => b.fill(1, 13, 14)],
    ['no command', (b: Buffer) => b.fill(0, 14, 15)],
    ['a command too long', (b: Buffer) => b.fill(17, 14, 15)],
    ['a byte too few', (b: Buffer) => b.subarray(0, 30)],
  ])('wants a reset after a wrapper with %s', async (_what, spoil) => {
    await expect(give(spoil(wrapper('00 00 00 00 00 00', 0, false)))).rejects.toMatchObject(stalled)
    await expect(take(13)).rejects.toMatchObject(stalled)
    await control(0x02, 1, 0, 0x81)
    await expect(take(13)).rejects.toMatchObject(stalled)
    await control(0x21, 0xff)
    await control(0x02, 1, 0, 0x81)
    await control(0x02, 1, 0, 0x02)
    await give(wrapper('00 00 00 00 00 00', 0, false))
    expect(await readStatus()).toEqual({ status: 0, residue: 0 })
  })

  it('has one unit', async () => {
    expect(await control(0xa1, 0xfe, 0, 0, 1)).toEqual(Buffer.from([0]))
    await expect(control(0xa1, 0xfe, 0, 3, 1)).rejects.toMatchObject(stalled)
  })

  it.each([
    ['an unknown command', 'b5 00 00 00 00 00', 5, 0x20],
    ['blocks beyond the end', `28 00 000000${BLOCKS.toString(16)} 00 0001 00`, 5, 0x21],
    ['a page that it has not', '12 01 83 00 ff 00', 5, 0x24],
    ['another mode page', '1a 00 1c 00 ff 00', 5, 0x24],
  ])('keeps sense data of %s for one request', async (_what, command, key, code) => {
    expect(await read(command, 255)).toMatchObject({ data: null, status: 1, residue: 255 })
    const sense = (await read('03 00 00 00 12 00', 18)).data
    expect([sense?.[2], sense?.[12]]).toEqual([key, code])
    expect((await read('03 00 00 00 12 00', 18)).data?.[2]).toBe(0)
  })

  it('tells of a medium that fails', async () => {
    await truncate(image.path, 512)
    expect(await read(READ_2_AT_1, 1024)).toMatchObject({ data: null, status: 1, residue: 1024 })
    expect((await read('03 00 00 00 12 00', 18)).data?.[2]).toBe(3)
  })

  it.each([
    ['its serial', '12 01 80 00 ff 00', 255, '008000055345522d31'],
    ['its pages', '12 01 00 00 ff 00', 255, '000000020080'],
    ['its capacity', '25 00 00000000 00 0000 00', 8, '0000001f00000200'],
    ['its format capacities', '23 00 00000000 00 00fc 00', 252, '000000080000002002000200'],
    ['its caching page', '1a 00 08 00 c0 00', 192, `17000000081204${'00'.repeat(17)}`],
    ['its caching page, long', '5a 00 08 00000000 00c0 00', 192, `001a000000000000081204${'00'.repeat(17)}`],
  ])('tells %s', async (_what, command, length, hex) => {
    expect((await read(command, length)).data?.toString('hex')).toBe(hex)
  })
})
