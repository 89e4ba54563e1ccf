import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createDevice } from '../../../src/lab/devices/create.ts'
import type { EmulatedDevice } from '../../../src/lab/devices/emulated.ts'
import { ensureImage } from '../../../src/lab/devices/stick-image.ts'
import { qubeSchema } from '../../../src/lab/file/schema.ts'
import { type Guest, runScript } from '../../../src/lab/kernel/guest.ts'
import { callGuest } from '../../../src/lab/kernel/guest-call.ts'
import { type Hub, openHub } from '../../../src/lab/kernel/hub.ts'
import { buildBase, packQube } from '../../../src/lab/kernel/image.ts'
import { becomeQube, keepMachine, startGuest } from '../../../src/lab/kernel/kept-machine.ts'
import { getParts } from '../../../src/lab/kernel/parts.ts'
import { servicesOf } from '../../../src/lab/kernel/services.ts'
import { serveDevice } from '../../../src/lab/usbip/exporter.ts'
import type { Export } from '../../../src/lab/usbip/interface.ts'

const why = await getParts().then(
  () => null,
  (error: Error) => {
    if (process.env.CI === 'true') throw error
    return error.message
  },
)
const TOKEN = 'emulated'
const DEVID = (1 << 16) | 2

/**
 * Our USB/IP server at the other end of a TCP connection of a real kernel's vhci-hcd, which knows nothing of the
 * lab: it enumerates, binds its drivers and reads.
 */
describe.skipIf(why !== null)(`emulated devices imported by Linux${why === null ? '' : ` (${why})`}`, () => {
  let folder = ''
  let guest: Guest
  let hub: Hub
  const devices = new Map<string, EmulatedDevice>()
  const exports = new Map<string, Export>()

  beforeAll(async () => {
    const parts = await getParts()
    folder = await mkdtemp(join(tmpdir(), 'qusb-emulated-'))
    hub = await openHub(TOKEN, async ({ service, socket, accept }) => {
      const name = service.replace('qubes.USB+', '')
      const device = devices.get(name)
      accept()
      if (!device) {
        socket.end()
        return 1
      }
      socket.write(`${DEVID} ${device.speed}\n`)
      exports.set(name, serveDevice(device, socket, { devid: DEVID }))
      return 0
    })
    const qube = qubeSchema.parse({ name: 'work' })
    const programs = servicesOf({ name: 'work', domid: 1, qube, isStubdom: false })
    const config = { name: 'work', domid: 1, token: TOKEN, publishes: 'full' } as const
    const archive = packQube({ ...config, profileNoise: '', services: [], programs })
    const kept = await keepMachine({ parts, base: await buildBase(parts), usb: false, log: () => {} })
    const vm = await startGuest(parts, kept, { name: 'work', folder, usb: false, hubPort: hub.port })
    guest = { vm, agent: { port: vm.agentPort, token: TOKEN }, door: { port: vm.doorPort, token: TOKEN } }
    await becomeQube(vm, kept, archive)
  }, 400_000)

  afterAll(async () => {
    const console = guest ? await readFile(guest.vm.console, 'utf8') : ''
    await guest?.vm.kill()
    hub?.close()
    await rm(folder, { recursive: true, force: true })
    expect(console).not.toMatch(/Oops|BUG:|Call Trace/)
  })

  // What a test that failed has left is not for the next one, nor for its own second try.
  afterEach(async () => {
    for (const name of exports.keys()) {
      await call('qubes.USBDetach', `lab ${name}\n`)
      await exports.get(name)?.done
    }
    exports.clear()
    for (const device of devices.values()) await device.close()
    devices.clear()
  })

  const sh = async (script: string) => {
    const { code, stdout, stderr } = await runScript(guest, script, 60_000)
    expect(code, stderr).toBe(0)
    return stdout.trim()
  }
  const call = async (service: string, input: string) => {
    const { data, exit } = await callGuest(guest.agent, { service, source: 'dom0', user: 'root' }, 30_000)
    data.end(input)
    data.resume()
    return await exit
  }
  const imported = (attribute: string) =>
    sh(`for d in /sys/bus/usb/devices/*-*; do
      case "$d" in *:*) continue;; esac
      case "$(readlink -f $d)" in */vhci_hcd*) cat $d/${attribute} ;; esac
    done`)
  const takeBack = async (name: string) => {
    expect(await call('qubes.USBDetach', `lab ${name}\n`)).toBe(0)
    expect(await exports.get(name)?.done).toMatchObject({ reason: 'peer' })
    expect(await sh("grep -c '^[hs]s.* 006 ' /sys/devices/platform/vhci_hcd.0/status || true")).toBe('0')
  }

  it('reads the temperature of a Go!Temp', async () => {
    devices.set('thermometer', await createDevice({ kind: 'thermometer', temperature: -7.25 }))
    expect(await call('qubes.USBAttach', 'lab thermometer\n')).toBe(0)
    expect(await imported('idVendor')).toBe('08f7')
    expect(await imported('product')).toBe('Go! Temp ver 1.53')
    expect(await sh('lab-temperature')).toBe('-7.25')
    await takeBack('thermometer')
  }, 120_000)

  it.each([
    [5000, '5000'],
    [480, '480'],
  ] as const)(
    'reads and writes a stick at %i Mb/s, every byte',
    async (speed, shown) => {
      const image = join(folder, `stick-${speed}.img`)
      await ensureImage(image, 1)
      devices.set('stick', await createDevice({ kind: 'stick', image, speed, serial: `AT-${speed}` }))
      expect(await call('qubes.USBAttach', 'lab stick\n')).toBe(0)
      expect(await imported('serial')).toBe(`AT-${speed}`)
      expect(await imported('speed')).toBe(shown)
      const disk = await sh(`until [ -b /dev/sd* ]; do sleep 0.1; done; echo /dev/sd*`)
      const sum = createHash('sha256')
        .update(await readFile(image))
        .digest('hex')
      expect(await sh(`dd if=${disk} bs=64k iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1`)).toBe(sum)
      await sh(`printf 'written by Linux' | dd of=${disk} bs=512 seek=3 conv=notrunc 2>/dev/null && sync`)
      for (let tries = 0; tries < 100; tries++) {
        if ((await readFile(image)).toString('latin1', 3 * 512, 3 * 512 + 16) === 'written by Linux') break
        await sleep(100)
      }
      expect((await readFile(image)).toString('latin1', 3 * 512, 3 * 512 + 16)).toBe('written by Linux')
      await takeBack('stick')
    },
    120_000,
  )

  it('finds a driver for each of the others', async () => {
    const expected = { keyboard: 'usbhid', 'security-key': 'usbhid usbhid', serial: 'ftdi_sio' } as const
    for (const [kind, drivers] of Object.entries(expected) as [keyof typeof expected, string][]) {
      devices.set(kind, await createDevice({ kind }))
      expect(await call('qubes.USBAttach', `lab ${kind}\n`), kind).toBe(0)
      // The service ends when the device is there; its interfaces get their drivers a little later.
      const bound = () =>
        sh(`for i in $(ls -d /sys/devices/platform/vhci_hcd.0/usb*/*-*/*-*:*); do
          basename "$(readlink $i/driver)"; done | xargs`)
      await expect.poll(bound, { timeout: 30_000, message: kind }).toBe(drivers)
      await takeBack(kind)
    }
  }, 180_000)
})
