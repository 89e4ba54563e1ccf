import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, startBench, until } from './program.ts'

/**
 * An answer of the backend that says what is there and comes late: a call that finds a file hold.N takes it, looks, says
 * looked.N, and answers when there is go.N. All other calls are answered at once.
 */
const HOLD = `cd "$QUSB_ROOT/lab"
for n in 1 2; do
  mv hold.$n held.$n 2>/dev/null || continue
  ./hidden.qubes.VMShell >answer.$n
  mv held.$n looked.$n
  until [ -e go.$n ]; do sleep 0.02; done
  exec cat answer.$n
done
exec ./hidden.qubes.VMShell`

let bench: Bench

beforeAll(async () => {
  bench = await startBench({
    qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }],
    devices: [{ backend: 'sys-usb', port: '1-1', kind: 'thermometer' }],
  })
  // An answer that is held back counts for as long as what happens meanwhile takes.
  const site = JSON.parse(readFileSync(bench.lab.site, 'utf8'))
  writeFileSync(bench.lab.site, JSON.stringify({ ...site, limits: { ...site.limits, surveyMs: 30_000 } }))
  await bench.lab.fault('hostile-answer', 'sys-usb', { value: HOLD })
})
afterAll(async () => await bench?.end())
afterEach(async () => {
  for (const n of [1, 2])
    for (const name of ['looked', 'go', 'answer']) rmSync(mark(`${name}.${n}`), { force: true })
  expect(await bench.qusb('detach', '--all')).toMatchObject({ code: 0 })
})

const mark = (name: string): string => join(bench.lab.dir, 'qubes/sys-usb/lab', name)
const hold = (n: number): void => writeFileSync(mark(`hold.${n}`), '')
const go = (n: number): void => writeFileSync(mark(`go.${n}`), '')
const looked = async (n: number): Promise<void> =>
  await until(`look ${n} was held back`, () => existsSync(mark(`looked.${n}`)))

const history = async (): Promise<string[]> =>
  (await bench.qusb('history', '--json')).json.events.map(
    ({ what, how }: { what: string; how: string | null }) => (how === null ? what : `${what} ${how}`),
  )
const records = (): unknown =>
  JSON.parse(readFileSync(join(bench.lab.dir, 'dom0/var/lib/qusb/state.json'), 'utf8')).attachments

describe('a look that is older than what another qusb did', () => {
  it('ends nothing that was attached after it', async () => {
    hold(1)
    const listing = bench.start(['list', '--json'])
    await looked(1)
    expect(await bench.qusb('attach', 'sys-usb', '1-1', 'work')).toMatchObject({ code: 0 })
    go(1)
    expect(await listing.done).toMatchObject({ code: 0, json: { warnings: [] } })
    expect(records()).toMatchObject([{ port: '1-1', frontend: 'work', phase: 'attached' }])
    expect(await bench.device('1-1')).toMatchObject({ attachedTo: 'work', drift: null })
    expect(await history()).toEqual(['attached'])
  })

  it('tells no end that another has told', async () => {
    expect(await bench.qusb('attach', 'sys-usb', '1-1', 'work')).toMatchObject({ code: 0 })
    await bench.lab.unplug('sys-usb', '1-1')
    hold(1)
    const listing = bench.start(['list', '--json'])
    await looked(1)
    hold(2)
    go(1)
    // What seems to be over is looked at again.
    await looked(2)
    const other = await bench.qusb('list', '--json')
    expect(other.json.warnings).toEqual([expect.objectContaining({ code: 'ENDED' })])
    go(2)
    expect(await listing.done).toMatchObject({ code: 0, json: { warnings: [] } })
    expect((await history()).filter((what) => what.startsWith('ended'))).toEqual(['ended unplug'])
    expect(records()).toEqual([])
  })
})
