import { FLOOR, PROGRAM, withLab } from './lab.ts'
import { measure, printTable } from './measure.ts'

/** Start-up: qusb beside Node alone and beside a bare script that starts a process and prints a line. */
export async function benchFloor(): Promise<void> {
  await withLab(null, async ({ env }) => {
    const times = await measure(
      [
        { name: 'node -e 0', args: ['-e', '0'] },
        { name: 'floor: spawns /bin/true, prints a line', args: [FLOOR] },
        { name: 'qusb --version', args: [PROGRAM, '--version'] },
        { name: 'qusb list (1 backend, 6 devices)', args: [PROGRAM, 'list'], env },
        { name: 'qusb list --json', args: [PROGRAM, 'list', '--json'], env },
      ],
      30,
    )
    const floor = times[1]?.least ?? Number.NaN
    printTable(
      'Start-up, ms (aim: list within 2.5 times the floor)',
      ['', 'least', 'median', 'x floor'],
      times.map(({ name, least, median }) => [name, least, median, least / floor]),
    )
  })
}
