import { FLOOR, PROGRAM, withLab } from './lab.ts'
import { measure, printTable } from './measure.ts'

const QUBES = 60
const RUNNING = 20
const DEVICES = 20

/**
 * Listing where qubesd knows many qubes, beside the same lab without a qubesd: for a pipe, and with what it will attach by
 * itself, which is a call for each qube.
 */
export async function benchAdmin(): Promise<void> {
  const rows: (string | number)[][] = []
  for (const [name, qubesd] of [
    ['with qubesd', '4.3'],
    ['without', 'none'],
  ] as const) {
    const qubes = [
      { name: 'sys-usb', backend: true },
      ...Array.from({ length: QUBES - 1 }, (_, i) => ({
        name: `qube${i}`,
        state: i < RUNNING - 1 ? ('running' as const) : ('halted' as const),
      })),
    ]
    const devices = Array.from({ length: DEVICES }, (_, i) => ({
      backend: 'sys-usb',
      kind: 'webcam',
      port: `1-${Math.floor(i / 10) + 1}.${(i % 10) + 1}`,
      serial: `W${i}`,
    }))
    await withLab({ qubes, devices, qubesd }, async ({ env }) => {
      const times = await measure(
        [
          { name: 'floor', args: [FLOOR] },
          { name: 'list', args: [PROGRAM, 'list'], env },
          { name: 'list --json', args: [PROGRAM, 'list', '--json'], env },
        ],
        40,
      )
      for (const by of ['least', 'median'] as const) {
        const [floor = Number.NaN, list = Number.NaN, json = Number.NaN] = times.map((each) => each[by])
        rows.push([`${name}, ${by}`, floor, list, list / floor, json, json / floor])
      }
    })
  }
  printTable(
    `Listing ${DEVICES} devices among ${QUBES} qubes, ${RUNNING} of them running, ms (aim: within 2.5 times the floor)`,
    ['', 'floor', 'list', 'x floor', '--json', 'x floor'],
    rows,
  )
}
