import { setTimeout as wait } from 'node:timers/promises'
import { BARE_PASSTHROUGH, type BenchLab, PROGRAM, withLab } from './lab.ts'
import { measure, printTable, runNode, type Times } from './measure.ts'
import { timeService } from './service-times.ts'

const ROUNDS = 24
const DEVICE = ['sys-usb', '2-1', 'work'] as const

/**
 * Attach and detach, beside the bare calls of the services, and an attach beside a bare script that surveys as qusb does:
 * what is more than that is qusb's own share.
 */
export async function benchAttach(): Promise<void> {
  await withLab(null, (bench) => compareAttach(bench, 'aim: qusb’s own share of an attach under 60', ROUNDS))
}

/** The same in a lab that is up, with a stick at 2-1 and a qube called work. */
export async function compareAttach(bench: BenchLab, note: string, rounds: number): Promise<void> {
  const { site, probes } = bench
  const service = timeService(bench, 'qubes.USBAttach')
  const bare = (what: string): string[] => [
    BARE_PASSTHROUGH,
    what,
    service.client,
    site.policyDir,
    probes.backend,
    probes.frontend,
    ...DEVICE,
  ]
  const env = { QUSB_SITE: service.siteFile }
  const others = service.last
  const pause = { name: 'pause', work: () => untilFree(bench) }
  const times = await measure(
    [
      { name: 'bare attach', args: bare('attach'), others },
      { name: 'bare detach (frontend only)', args: bare('detach') },
      pause,
      { name: 'bare attach and surveys before and after', args: bare('attach-with-looks'), others },
      { name: 'bare detach', args: bare('detach') },
      pause,
      { name: 'qusb attach', args: [PROGRAM, 'attach', ...DEVICE], env, others },
      { name: 'qusb detach (both sides clean)', args: [PROGRAM, 'detach', ...DEVICE], env },
      pause,
    ],
    rounds,
  )
  const find = (name: string): Times => times.find((each) => each.name.startsWith(name)) ?? missing(name)
  const surveying = find('bare attach and surveys')
  // The service looks five times a second whether it is done: in the whole, luck is more than all else.
  printTable(
    `Attach, ms (${note})`,
    ['', 'least', 'median', 'outside the service, least', 'median', 'own share by least', 'by median'],
    ['bare attach', 'bare attach and surveys', 'qusb attach']
      .map(find)
      .map((each) => [
        each.name,
        each.least,
        each.median,
        each.own.least,
        each.own.median,
        ...(each.name.startsWith('bare')
          ? []
          : [each.own.least - surveying.own.least, each.own.median - surveying.own.median]),
      ]),
  )
  const detach = find('bare detach (')
  printTable(
    'Detach, ms',
    ['', 'least', 'median', 'more than bare', 'by median'],
    [detach, find('qusb detach')].map((each) => [
      each.name,
      each.least,
      each.median,
      ...(each === detach ? [] : [each.least - detach.least, each.median - detach.median]),
    ]),
  )
}

/** Waits until the backend has let the device go: its word for that comes up to a second late. */
async function untilFree({ lab, env }: BenchLab): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    const { devices } = await lab.status()
    if (devices.every((device) => device.attachedTo === null)) {
      // qusb settles what the bare calls left behind, so that it does not count.
      await runNode([PROGRAM, 'list'], env)
      return
    }
    await wait(100)
  }
  throw new Error('the device was not released within 5 s')
}

function missing(name: string): never {
  throw new Error(`nothing was measured as ${name}`)
}
