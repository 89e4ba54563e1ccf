import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, expectClean, imageOf, startBench, until, usedPorts } from './program.ts'

let bench: Bench

beforeAll(async () => {
  bench = await startBench()
})
afterAll(async () => await bench.end())

describe('the main job', () => {
  it('lists what the backend publishes, one device a line into a pipe', async () => {
    const { stdout, code } = await bench.qusb('list')
    expect(code).toBe(0)
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'))
    expect(rows.map((row) => row[1])).toEqual(['1-2', '1-3', '1-4.1', '1-4.2', '1-5', '2-1'])
    const stick = rows.find((row) => row[1] === '2-1')
    expect(stick).toHaveLength(8)
    expect(stick?.slice(0, 3)).toEqual(['sys-usb', '2-1', '0951:1666'])
    expect(stick?.slice(4)).toEqual(['storage', expect.stringContaining('Kingston'), '5000', '-'])
    expect(rows.find((row) => row[1] === '1-4.1')?.[3]).toBe('-')
  })

  it('lists hubs with --all, and as a tree', async () => {
    const all = await bench.qusb('list', '--all', '--json')
    expect(all.json.devices.find((device: { port: string }) => device.port === '1-4')).toMatchObject({
      hub: true,
    })
    const tree = await bench.qusb('list', '--tree')
    const lines = tree.stdout.split('\n')
    const hub = lines.findIndex((line) => /\b1-4\b(?!\.)/.test(line))
    const webcam = lines.findIndex((line) => line.includes('1-4.1'))
    expect(hub).toBeGreaterThan(-1)
    expect(webcam).toBeGreaterThan(hub)
  })

  it('attaches a stick so that its blocks are read in work through USB/IP', async () => {
    const attached = await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--json')
    expect(attached.code, attached.stderr).toBe(0)
    expect(attached.json).toMatchObject({
      schema: 1,
      changed: true,
      attachment: { backend: 'sys-usb', port: '2-1', frontend: 'work', vendorId: '0951', productId: '1666' },
    })
    expect(await usedPorts(bench, 'work')).toBe(1)
    // A real kernel takes a moment from the attach to the disk.
    const read = async () => await bench.lab.exec('work', ['lab-read', 'sda', '64', '8'])
    await until('the disk is there', async () => (await read()).stdout.length === 8 * 512, 30_000)
    const block = await read()
    const image = readFileSync(await imageOf(bench, '2-1'))
    expect(block.stdout.equals(image.subarray(64 * 512, 72 * 512))).toBe(true)
    const listed = await bench.device('2-1')
    expect(listed).toMatchObject({ state: 'attached', attachedTo: 'work', drift: null, by: { rule: null } })
    expect(Date.parse(listed.since)).toBeGreaterThan(Date.now() - 60_000)
  })

  it('does nothing when it is there already', async () => {
    const again = await bench.qusb('attach', 'sys-usb', '2-1', 'work', '--json')
    expect(again).toMatchObject({ code: 0, json: { changed: false, attachment: { frontend: 'work' } } })
  })

  it('refuses to take it from the one who has it', async () => {
    const other = await bench.qusb('attach', 'sys-usb', '2-1', 'vault', '--json')
    expect(other).toMatchObject({
      code: 5,
      json: { error: { code: 'CONFLICT', message: expect.stringContaining('work') } },
    })
    const wrong = await bench.qusb('detach', 'sys-usb', '2-1', 'vault', '--json')
    expect(wrong).toMatchObject({ code: 5, json: { error: { code: 'CONFLICT' } } })
    expect(await bench.device('2-1')).toMatchObject({ attachedTo: 'work' })
  })

  it('detaches it, clean on both sides', async () => {
    const detached = await bench.qusb('detach', 'sys-usb', '2-1', '--json')
    expect(detached).toMatchObject({
      code: 0,
      json: {
        changed: true,
        attachment: { port: '2-1', frontend: 'work', changed: true },
        attachments: [{ changed: true }],
      },
    })
    await expectClean(bench, '2-1', 'work')
    expect(await usedPorts(bench, 'work')).toBe(0)
    const again = await bench.qusb('detach', 'sys-usb', '2-1', '--json')
    expect(again).toMatchObject({
      code: 0,
      json: { changed: false, attachment: { changed: false, frontend: null } },
    })
  })

  it('reads the thermometer in work', async () => {
    expect(await bench.qusb('attach', 'sys-usb', '08f7:0002', 'work')).toMatchObject({ code: 0 })
    expect(await bench.inQube('work', 'lab-temperature')).toMatch(/^21\.[45]/)
    expect(await bench.qusb('detach', '--from', 'work', '--json')).toMatchObject({
      code: 0,
      json: { changed: true },
    })
    await expectClean(bench, '1-5', 'work')
  })

  it('fails to read the stick once the link is closed, and says what is', async () => {
    await bench.qusb('attach', 'sys-usb', '2-1', 'work')
    const canRead = async () => (await bench.lab.exec('work', ['lab-read', 'sda', '0', '1'])).code === 0
    await until('the disk is there', canRead, 30_000)
    await bench.lab.fault('link-closed', 'sys-usb')
    expect((await bench.lab.exec('work', ['lab-read', 'sda', '0', '1'])).code).not.toBe(0)
    const detached = await bench.qusb('detach', 'sys-usb', '2-1')
    expect(detached.code, detached.stderr).toBe(0)
    expect(await bench.device('2-1')).toMatchObject({ state: 'free', driver: 'usb' })
    // What a lost link may leave in the frontend does not hinder the next attach, and is gone after it.
    expect(await bench.qusb('attach', 'sys-usb', '2-1', 'work')).toMatchObject({ code: 0 })
    expect(await bench.qusb('detach', 'sys-usb', '2-1')).toMatchObject({ code: 0 })
    await expectClean(bench, '2-1', 'work')
  })

  it('keeps a history of it all', async () => {
    const { json } = await bench.qusb('history', '--json')
    const told = json.events.map((event: { what: string; port: string }) => `${event.what} ${event.port}`)
    expect(told.slice(0, 4)).toEqual(['attached 2-1', 'detached 2-1', 'attached 1-5', 'detached 1-5'])
    expect(json.events[0]).toMatchObject({ frontend: 'work', how: null })
  })
})

describe('selectors', () => {
  it.each([
    [['sys-usb', '0951:1666', 'vault'], '2-1'],
    [['sys-usb', '0x0951.0x1666', 'vault'], '2-1'],
    [['sys-usb:2-1', 'vault'], '2-1'],
    [['0951:1666', 'vault'], '2-1'],
    [['sys-usb', '1050:0407@0018092417', 'vault'], '1-2'],
  ])('%j', async (words, port) => {
    const planned = await bench.qusb('attach', ...words, '--dry-run', '--json')
    expect(planned.code, planned.stderr).toBe(0)
    expect(planned.json).toMatchObject({ changed: false, attachment: { port, frontend: 'vault' } })
    expect(planned.json.plan.length).toBeGreaterThan(3)
  })

  it('by bus address', async () => {
    const { busnum, devnum } = await bench.device('1-5')
    const planned = await bench.qusb(
      'attach',
      'sys-usb',
      `${busnum}.${devnum}`,
      'vault',
      '--dry-run',
      '--json',
    )
    expect(planned).toMatchObject({ code: 0, json: { changed: false, attachment: { port: '1-5' } } })
    expect(
      planned.json.plan.some((step: { what: string }) =>
        step.what.includes('qubes.USB  +1-5  vault  sys-usb  allow'),
      ),
    ).toBe(true)
    expect(await bench.device('1-5')).toMatchObject({ state: 'free' })
  })

  it('lists both of two alike, each with a selector that works', async () => {
    const { code, json } = await bench.qusb('attach', 'sys-usb', '046d:0825', 'vault', '--json')
    expect(code).toBe(4)
    expect(json.error.code).toBe('AMBIGUOUS')
    const selectors = json.error.candidates.map((each: { selector: string }) => each.selector)
    expect(selectors).toEqual(['sys-usb:1-4.1', 'sys-usb:1-4.2'])
    expect(await bench.qusb('attach', selectors[1], 'vault', '--json')).toMatchObject({
      code: 0,
      json: { attachment: { port: '1-4.2' } },
    })
    expect(await bench.qusb('detach', '--all')).toMatchObject({ code: 0 })
    await expectClean(bench, '1-4.2', 'vault')
  })
})
