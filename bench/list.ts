import { BARE_CALLS, manyBackends, PROGRAM, withLab } from './lab.ts'
import { measure, printTable } from './measure.ts'

const SIZES = [1, 10, 50].flatMap((backends) => [10, 30].map((devices) => [backends, devices] as const))

/** Listing many backends, beside a bare script that makes the same calls at once. */
export async function benchList(): Promise<void> {
  const rows: (string | number)[][] = []
  for (const [backends, devices] of SIZES) {
    await withLab(manyBackends(backends, devices), async ({ env, site, probes }) => {
      const names = Array.from({ length: backends }, (_, i) => `sys-usb-${i + 1}`)
      const [bare, json, lines] = await measure(
        [
          { name: 'bare', args: [BARE_CALLS, site.qrexecClient, probes.backend, ...names] },
          { name: 'json', args: [PROGRAM, 'list', '--json'], env },
          { name: 'lines', args: [PROGRAM, 'list'], env },
        ],
        backends > 10 ? 7 : 12,
      )
      const least = bare?.least ?? Number.NaN
      const json_ = json?.least ?? Number.NaN
      rows.push([
        `${backends} of ${devices} devices`,
        least,
        json_,
        lines?.least ?? Number.NaN,
        json_ / least,
      ])
    })
  }
  printTable(
    'Listing backends, least ms (aim: 50 backends within 1.5 times the bare calls)',
    ['', 'bare calls', 'list --json', 'list', 'x bare'],
    rows,
  )
}
