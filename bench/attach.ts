import { setTimeout as wait } from 'node:timers/promises'
import { BARE_PASSTHROUGH, type BenchLab, PROGRAM, withLab } from './lab.ts'
import { measure, printTable, runNode, type Times } from './measure.ts'

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
  const { env, site, probes } = bench
  const bare = (what: string): string[] => [
    BARE_PASSTHROUGH,
    what,
    site.qrexecClient,
    site.policyDir,
    probes.backend,
    probes.frontend,
    ...DEVICE,
  ]
  const pause = { name: 'pause', work: () => untilFree(bench) }
  const times = await measure(
    [
      { name: 'bare attach', args: bare('attach') },
      { name: 'bare detach (frontend only)', args: bare('detach') },
      pause,
      { name: 'bare attach and surveys before and after', args: bare('attach-with-looks') },
      { name: 'bare detach', args: bare('detach') },
      pause,
      { name: 'qusb attach', args: [PROGRAM, 'attach', ...DEVICE], env },
      { name: 'qusb detach (both sides clean)', args: [PROGRAM, 'detach', ...DEVICE], env },
      pause,
    ],
    rounds,
  )
  const find = (name: string): Times => times.find((each) => each.name.startsWith(name)) ?? missing(name)
  const beside = (name: string, bares: readonly string[]): (string | number)[] => {
    const { least, median, name: whole } = find(name)
    // The proxy's own pauses of 200 ms are in all of them, and where the least one falls is luck: medians are steadier.
    return [
      whole,
      least,
      median,
      ...bares.flatMap((each) => [least - find(each).least, median - find(each).median]),
    ]
  }
  printTable(
    `Attach and detach, ms (${note})`,
    ['', 'least', 'median', 'more than bare', 'by median', 'than with surveys', 'by median'],
    [
      beside('bare attach', []),
      beside('bare attach and surveys', ['bare attach']),
      beside('qusb attach', ['bare attach', 'bare attach and surveys']),
      beside('bare detach (', []),
      beside('qusb detach', ['bare detach (']),
    ],
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
