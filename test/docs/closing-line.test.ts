import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

const directory = mkdtempSync(join(tmpdir(), 'qusb-closing-'))
afterAll(() => rmSync(directory, { recursive: true }))

const passing = { status: 'passed', assertionResults: [{ status: 'passed' }] }
const broken = { status: 'failed', assertionResults: [] }
const failing = { status: 'failed', assertionResults: [{ status: 'failed' }] }

describe('the closing line of .ci/run', () => {
  it.each([
    ['all passed', 12, 0, 0, [passing], 0, '12 passed, 0 failed', 0],
    ['some skipped', 12, 0, 3, [passing], 0, '12 passed, 0 failed, 3 skipped', 0],
    ['some failed', 10, 2, 0, [passing, failing], 1, '10 passed, 2 failed', 1],
    ['a file that does not load', 10, 0, 0, [passing, broken], 1, '10 passed, 1 failed', 1],
    ['a run that failed for another reason', 10, 0, 0, [passing], 1, '10 passed, 1 failed', 1],
    ['no test at all', 0, 0, 0, [], 0, '0 passed, 1 failed', 1],
  ])('%s', (_, passed, failed, pending, files, runner, line, status) => {
    const report = join(directory, 'report.json')
    const figures = {
      numPassedTests: passed,
      numFailedTests: failed,
      numPendingTests: pending,
      testResults: files,
    }
    writeFileSync(report, JSON.stringify(figures))
    const closing = spawnSync(process.execPath, ['scripts/closing-line.mjs', report, String(runner)], {
      encoding: 'utf8',
    })
    expect(closing.stdout).toBe(`${line}\n`)
    expect(closing.status).toBe(status)
  })

  it('counts a run without a report as failed', () => {
    const closing = spawnSync(process.execPath, ['scripts/closing-line.mjs', join(directory, 'none'), '0'], {
      encoding: 'utf8',
    })
    expect(closing.stdout).toBe('0 passed, 1 failed\n')
    expect(closing.status).toBe(1)
  })
})
