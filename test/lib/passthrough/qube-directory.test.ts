import { afterEach, describe, expect, it } from 'vitest'
import { QusbError } from '../../../src/lib/errors.ts'
import { findAlike } from '../../../src/lib/model/alike.ts'
import type { QubeName } from '../../../src/lib/model/names.ts'
import { QubeDirectory, whyNotThere } from '../../../src/lib/passthrough/qube-directory.ts'
import { askForAssignments, askForBackends } from '../../../src/lib/qubes/admin/ask.ts'
import { parseQubeList } from '../../../src/lib/qubes/admin/qube-list.ts'
import { type FakeQubesd, type Reply, startFakeQubesd } from '../qubes/admin/fake-qubesd.ts'

let fake: FakeQubesd | undefined
afterEach(async () => {
  CONTROLLERS = BOTH
  await fake?.close()
  fake = undefined
})

const LIST = [
  'dom0 class=AdminVM state=Running',
  'sys-usb class=AppVM state=Running',
  'work class=AppVM state=Running',
  'off class=AppVM state=Halted',
  'spare class=AppVM state=Halted',
  'disp1 class=DispVM state=Paused',
  'disp2 class=DispVM state=Running',
  'template class=TemplateVM state=Halted',
  '',
].join('\n')

/** dom0's USB controllers: that of sys-usb, and that of off. */
const BOTH = ['00_14.0', '01_14.0']
let CONTROLLERS = BOTH

/** A qubesd of 4.3 where disp2 has gone since the list was made. */
function reply(request: string): Reply | undefined {
  const [, method = '', dest = ''] = /^admin\.vm\.([A-Za-z.]+)\+ dom0 name (\S+)\0$/.exec(request) ?? []
  if (method === 'List') return `0\0${LIST}`
  if (dest === 'disp2') return "2\0QubesVMNotFoundError\0\0No such domain: 'disp2'\0"
  if (method === 'device.pci.Available')
    return `0\0${CONTROLLERS.map((port) => `${port}:x::p0c0330 device_id='x::p0c0330' port_id='${port}' backend_domain='dom0'\n`).join('')}00_1f.6:x::p020000 device_id='x::p020000' port_id='00_1f.6' backend_domain='dom0'\n`
  const held = (port: string, code: string): string =>
    `0\0dom0+${port}:x::${code} device_id='x::${code}' port_id='${port}' backend_domain='dom0' mode='required'\n`
  if (method === 'device.pci.Attached')
    return dest === 'sys-usb' ? held('00_14.0', 'p0c0330') : held('00_1f.6', 'p020000')
  // What spare would get when it starts is with sys-usb.
  if (method === 'device.pci.Assigned')
    return dest === 'off' && CONTROLLERS.length > 1
      ? held('01_14.0', 'p0c0330')
      : dest === 'spare'
        ? held('00_14.0', 'p0c0330')
        : '0\0'
  if (method === 'device.usb.Available') return '0\0'
  if (method === 'device.usb.Assigned')
    return dest === 'work'
      ? "0\0sys-usb+2-1:* device_id='*' port_id='2-1' backend_domain='sys-usb' mode='auto-attach'\n"
      : '0\0'
  return undefined
}

describe('the directory', () => {
  it('asks once for several who want to know, and again when told to forget', async () => {
    fake = await startFakeQubesd(reply)
    const directory = new QubeDirectory(fake.site)
    const [one, other] = await Promise.all([directory.qubes(), directory.qubes()])
    expect(one).toBe(other)
    expect(one?.size).toBe(7)
    expect(fake.requests).toHaveLength(1)
    directory.forget()
    await directory.qubes()
    expect(fake.requests).toHaveLength(2)
    expect(directory.warnings()).toEqual([])
  })

  it('forgives what went wrong before, but not while it waits for qubesd to recover', async () => {
    fake = await startFakeQubesd(reply)
    const directory = new QubeDirectory(fake.site)
    const { signal } = new AbortController()
    const hang = async (): Promise<never> => {
      throw new QusbError('TIMEOUT', 'qubesd hangs')
    }
    await directory.askMore('more', signal, undefined, hang)
    expect(directory.warnings()).toMatchObject([{ message: 'qubesd hangs; not known: more' }])
    directory.forgive()
    expect(directory.warnings()).toEqual([])

    await fake.close()
    fake = await startFakeQubesd(() => 'noise')
    const ill = new QubeDirectory(fake.site)
    await ill.qubes()
    ill.forgive()
    expect(ill.warnings()).toMatchObject([{ code: 'QUBESD' }])
  })

  it('asks for more, a few at a time, at most once a qube and kind; who has gone meanwhile has nothing', async () => {
    fake = await startFakeQubesd(reply)
    const directory = new QubeDirectory(fake.site)
    const { signal } = new AbortController()
    const found = await directory.askMore(
      'more',
      signal,
      undefined,
      async (asking, qubes) => await askForBackends(asking, [...qubes.values()]),
    )
    expect(found).toEqual({ running: ['sys-usb'], halted: ['off'] })
    const assigned = await directory.askMore(
      'more',
      signal,
      undefined,
      async (asking, qubes) => await askForAssignments(asking, [...qubes.keys()]),
    )
    expect(assigned?.entries).toMatchObject([{ frontend: 'work', backend: 'sys-usb', port: '2-1' }])
    expect(new Set(fake.requests).size).toBe(fake.requests.length)
    expect(fake.requests.filter((request) => request.includes('name disp1'))).toHaveLength(1)
    expect(fake.most).toBeLessThanOrEqual(9)
    expect(fake.unexpected).toEqual([])
    expect(directory.warnings()).toEqual([])
  })

  it.each<[string, string[], string[], string[], string[]]>([
    ['of the usual ones alone, where they have every controller', ['00_14.0'], ['sys-usb'], [], []],
    ['of all, where a controller is not with them', BOTH, ['sys-usb'], [], ['off']],
    ['of none, where there is no controller', [], [], [], []],
    ['of all, where nobody is usual', ['00_14.0'], [], ['sys-usb'], []],
  ])('asks for PCI devices %s', async (_, controllers, usual, running, halted) => {
    CONTROLLERS = controllers
    fake = await startFakeQubesd(reply)
    const qubes = [...parseQubeList(LIST).values()]
    const found = await askForBackends({ site: fake.site }, qubes, new Set(usual as QubeName[]))
    // What is usual is surveyed whatever is said of it here.
    expect({ ...found, running: found.running.filter((name) => !usual.includes(name)) }).toEqual({
      running,
      halted,
    })
    const asked = (kind: string): string[] =>
      fake?.requests.flatMap((request) =>
        request.includes(kind) ? [request.split(/[ \0]/)[3] ?? ''] : [],
      ) ?? []
    expect(asked('pci.Attached').length + asked('pci.Assigned').length).toBe(
      controllers.every((each) => each === '00_14.0' && usual.length > 0) ? usual.length : 5,
    )
    expect(asked('usb.Available')).not.toContain(usual[0])
    expect(fake.unexpected).toEqual([])
  })

  it.each([
    ['the older words of a qubesd that knows no others', '4.2'],
    ['the newer words of one that does', '4.3'],
  ])('learns %s', async (_, generation) => {
    const unknown = generation === '4.2' ? /usb\.(Assigned|Attached)/ : /usb\.List/
    fake = await startFakeQubesd((request) =>
      request.startsWith('admin.vm.List+') ? reply(request) : unknown.test(request) ? '' : '0\0',
    )
    const directory = new QubeDirectory(fake.site)
    const { signal } = new AbortController()
    for (let i = 0; i < 4; i++) {
      await directory.askMore(
        'more',
        signal,
        undefined,
        async (asking, qubes) => await askForAssignments(asking, [...qubes.keys()]),
      )
    }
    const asked = fake.requests.filter((request) => unknown.test(request)).length
    // All that were put before the first answer.
    expect(asked).toBeLessThanOrEqual(generation === '4.2' ? 7 : 0)
    expect(fake.requests.filter((request) => request.includes('device.usb'))).toHaveLength(asked + 4 * 7)
    expect(directory.warnings()).toEqual([])
  })

  it('goes on without a qubesd that stops answering, and tells', async () => {
    fake = await startFakeQubesd((request) =>
      request.startsWith('admin.vm.List+') ? reply(request) : () => {},
    )
    const directory = new QubeDirectory(fake.site)
    const begun = Date.now()
    const found = await directory.askMore(
      'more',
      new AbortController().signal,
      { running: [], halted: [] },
      async (asking, qubes) => await askForBackends(asking, [...qubes.values()]),
    )
    expect(found).toEqual({ running: [], halted: [] })
    expect(Date.now() - begun).toBeLessThan(10_000)
    expect(directory.warnings()).toMatchObject([
      { code: 'QUBESD', message: expect.stringMatching(/did not answer.*; not known: more$/) },
    ])
  })

  it.each([
    ['is not there', null],
    ['knows no qube', '0\0dom0 class=AdminVM state=Running\n'],
  ])('is as good as none where qubesd %s', async (_, answer) => {
    fake = await startFakeQubesd(() => answer ?? '')
    if (answer === null) await fake.stop()
    const directory = new QubeDirectory(fake.site)
    expect(await directory.qubes()).toBeUndefined()
    expect(await directory.answers()).toBe(false)
    expect(directory.warnings()).toEqual([])
  })
})

describe('why a qube is not there', () => {
  const qubes = parseQubeList(LIST)
  it.each([
    ['work', undefined],
    ['dom0', undefined],
    ['off', 'NOT_RUNNING'],
    ['disp1', 'NOT_RUNNING'],
    ['wrok', 'NOT_FOUND'],
  ])('%s', (name, code) => {
    expect(whyNotThere(qubes, name as QubeName)?.code).toBe(code)
    expect(whyNotThere(undefined, name as QubeName)).toBeUndefined()
  })
})

describe('a typo', () => {
  it.each([
    ['wrok', 'work'],
    ['wor', 'work'],
    ['Work', 'work'],
    ['sysusb', 'sys-usb'],
    ['sys-net', undefined],
    ['x', undefined],
    ['something-else', undefined],
  ])('%s', (typed, meant) => {
    expect(findAlike(typed, ['sys-usb', 'work', 'untrusted', 'vault'])).toBe(meant)
  })
})
