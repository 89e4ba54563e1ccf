import { readFileSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { type Bench, grants, type Ran, startBench } from './program.ts'

/** A backend's kernel gives away devices at 16 ports; and frontends enough for all of them. */
const BACKENDS = Array.from({ length: 13 }, (_, i) => `sys-usb-${i}`)
const PORTS = Array.from({ length: 16 }, (_, i) => (i < 8 ? `1-${i + 1}` : `2-${i - 7}`))
const FRONTENDS = Array.from({ length: 20 }, (_, i) => `work${i}`)

let bench: Bench

beforeAll(async () => {
  bench = await startBench({
    qubes: [
      ...BACKENDS.map((name) => ({ name, backend: true })),
      ...FRONTENDS.map((name) => ({ name, vhciPorts: 12, importSeconds: 600 })),
    ],
    devices: BACKENDS.flatMap((backend) =>
      PORTS.map((port) => ({
        backend,
        port,
        kind: port.startsWith('1') ? 'thermometer' : 'stick',
        serial: null,
        sizeMiB: 1,
      })),
    ),
  })
  // 200 processes on a small machine wait for the processor, not for a qube.
  const site = JSON.parse(readFileSync(bench.lab.site, 'utf8'))
  site.limits = { surveyMs: 60_000, connectSeconds: 60 }
  writeFileSync(bench.lab.site, JSON.stringify(site))
}, 120_000)
beforeEach(async () => expect(await bench.qusb('detach', '--all')).toMatchObject({ code: 0 }), 300_000)
afterAll(async () => await bench.end(), 60_000)

it('200 at once on different devices: no update is lost', { timeout: 600_000 }, async () => {
  const places = BACKENDS.flatMap((backend) => PORTS.map((port) => ({ backend, port }))).slice(0, 200)
  expect(places).toHaveLength(200)
  const ran: Ran[] = await Promise.all(
    places.map(async ({ backend, port }, i) => {
      const frontend = FRONTENDS[i % FRONTENDS.length] ?? ''
      const running = bench.start(['attach', backend, port, frontend, '--timeout', '600', '--json'])
      // The lab goes first: it is the one machine that all of them wait for.
      setPriority(running.child.pid ?? 0, 19)
      return await running.done
    }),
  )
  // A limit that strikes on a starved machine is told as one, and undone.
  for (const each of ran) expect([0, 9, 10], each.stdout + each.stderr).toContain(each.code)
  const done = places.filter((_, i) => ran[i]?.code === 0).map(({ backend, port }) => `${backend} ${port}`)
  expect(done.length).toBeGreaterThan(180)

  const { json } = await bench.qusb('list', '--attached', '--json')
  expect(grants(bench)).toEqual([])
  for (const device of json.devices) expect(device).toMatchObject({ state: 'attached', drift: null })
  const attached = json.devices.map(
    (each: { backend: string; port: string }) => `${each.backend} ${each.port}`,
  )
  expect(attached.sort()).toEqual(done.sort())
  const state = JSON.parse(readFileSync(join(bench.lab.dir, 'dom0/var/lib/qusb/state.json'), 'utf8'))
  const recorded = state.attachments.map(
    (each: { backend: string; port: string; phase: string }) => `${each.backend} ${each.port} ${each.phase}`,
  )
  expect(recorded.sort()).toEqual(done.map((place) => `${place} attached`).sort())
})
