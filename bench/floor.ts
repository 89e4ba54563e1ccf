import { FLOOR, PROGRAM, withLab } from './lab.ts'
import { measure, peakMemory, printTable } from './measure.ts'

/** Start-up: qusb beside Node alone and beside a bare script that starts a process and prints a line. */
export async function benchFloor(): Promise<void> {
  await withLab(null, async ({ env }) => {
    const cases = [
      { name: 'node -e 0', args: ['-e', '0'] },
      { name: 'floor: spawns /bin/true, prints a line', args: [FLOOR] },
      { name: 'qusb --version', args: [PROGRAM, '--version'] },
      { name: 'qusb list (1 backend, 6 devices)', args: [PROGRAM, 'list'], env },
      { name: 'qusb list --json', args: [PROGRAM, 'list', '--json'], env },
      { name: 'completion of a command', args: [PROGRAM, '__complete', 'zsh', 'at'], env },
      { name: 'completion of a device', args: [PROGRAM, '__complete', 'zsh', 'attach', 'sys-usb', ''], env },
    ]
    const times = await measure(cases, 80)
    const peaks: number[] = []
    for (const { args, env: vars } of cases) peaks.push(await peakMemory(args, vars))
    const floor = times[1] ?? { least: Number.NaN, median: Number.NaN }
    const floorPeak = peaks[1] ?? Number.NaN
    printTable(
      'Start-up, ms and MiB (aims: --version within 1.8 times the floor, list within 2.2, memory within 1.5)',
      ['', 'least', 'x floor', 'median', 'x floor', 'memory', 'x floor'],
      times.map(({ name, least, median }, i) => [
        name,
        least,
        least / floor.least,
        median,
        median / floor.median,
        peaks[i] ?? Number.NaN,
        (peaks[i] ?? Number.NaN) / floorPeak,
      ]),
    )
  })
}
