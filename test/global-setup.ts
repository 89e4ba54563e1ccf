import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { openLabsDirectory } from '../src/lab/place.ts'

/**
 * Gives the run a directory for its labs, and ends what a test that was cut short left there: nothing stays running.
 * @returns the end of the run
 */
export function setup(): () => void {
  const home = mkdtempSync(join(dirname(openLabsDirectory(process.env)), 'qusb-t-'))
  process.env.QUSB_LAB_DIR = home
  const program = resolve(import.meta.dirname, '../bin/qusb.cjs')
  return () => {
    for (const name of readdirSync(home)) {
      spawnSync(process.execPath, [program, 'lab', 'down', '--name', name], {
        stdio: 'ignore',
        timeout: 30_000,
      })
    }
    rmSync(home, { recursive: true, force: true })
  }
}
