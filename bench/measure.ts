import { spawn } from 'node:child_process'
import { resolve } from 'node:path'

/** Something that is timed: a program of Node's, or any work. */
export type Case = {
  name: string
  /** How much of the last run was another's time, ms: then what remains is told, too. */
  others?: () => number
} & ({ args: string[]; env?: NodeJS.ProcessEnv } | { work: () => Promise<void> })

/** Wall-clock times of one case, ms. */
export interface Times extends Spread {
  name: string
  /** Without what was another's. */
  own: Spread
}

interface Spread {
  least: number
  median: number
}

/**
 * Times the cases in turn, round by round, so that a busy moment of the machine hits all of them; the least of many is
 * what the work itself costs.
 */
export async function measure(cases: readonly Case[], rounds: number): Promise<Times[]> {
  const times = cases.map((): { whole: number; own: number }[] => [])
  for (let round = 0; round < rounds; round++) {
    for (const [i, each] of cases.entries()) {
      const begin = process.hrtime.bigint()
      if ('work' in each) await each.work()
      else await runNode(each.args, each.env ?? {})
      const whole = Number(process.hrtime.bigint() - begin) / 1e6
      times[i]?.push({ whole, own: whole - (each.others?.() ?? 0) })
    }
  }
  return cases.map(({ name }, i) => {
    const all = times[i] ?? []
    return { name, ...spread(all.map(({ whole }) => whole)), own: spread(all.map(({ own }) => own)) }
  })
}

function spread(all: readonly number[]): Spread {
  const sorted = [...all].sort((a, b) => a - b)
  return { least: sorted[0] ?? Number.NaN, median: sorted[sorted.length >> 1] ?? Number.NaN }
}

/**
 * Runs Node with these arguments, its output thrown away.
 * @throws Error when it does not end with 0: what failed fast must not count as fast
 */
export async function runNode(args: string[], env: NodeJS.ProcessEnv): Promise<{ stderr: string }> {
  // The certificates alone cost a start 40 ms.
  const { NODE_EXTRA_CA_CERTS: _, ...clean } = { ...process.env, ...env }
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'], env: clean })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0) throw new Error(`node ${args.join(' ').slice(0, 200)} ended with ${code}: ${stderr}`)
  return { stderr }
}

/** The most memory that a program of Node's needs, MiB: the least of a few runs. */
export async function peakMemory(args: string[], env: NodeJS.ProcessEnv = {}): Promise<number> {
  const peaks: number[] = []
  for (let round = 0; round < 5; round++) {
    const { stderr } = await runNode(['--require', resolve('bench/peak-memory.cjs'), ...args], env)
    peaks.push(Number(/^peak-memory ([0-9]+)$/m.exec(stderr)?.[1] ?? Number.NaN))
  }
  return Math.min(...peaks) / 1024
}

/** Prints a table: the first column are words, the others numbers or words. */
export function printTable(
  title: string,
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): void {
  const texts = [head, ...rows].map((row) =>
    row.map((value) => (typeof value === 'number' ? value.toFixed(value < 10 ? 2 : 1) : value)),
  )
  const widths = head.map((_, i) => Math.max(...texts.map((row) => (row[i] ?? '').length)))
  console.log(`\n${title}`)
  for (const row of texts) {
    const cells = row.map((text, i) =>
      i === 0 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0),
    )
    console.log(`  ${cells.join('  ').trimEnd()}`)
  }
}
