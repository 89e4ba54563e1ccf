// Prints the closing line of a test run, `N passed, N failed`, from the figures of the runner's JSON report:
// `node scripts/closing-line.mjs REPORT STATUS`. A run without a report, or one that failed without a failed test
// (a file that does not load, a worker that died), counts as a failure.
import { readFileSync } from 'node:fs'

const [report, status] = process.argv.slice(2)

function read() {
  try {
    const figures = JSON.parse(readFileSync(report, 'utf8'))
    const passed = Number(figures.numPassedTests)
    const skipped = Number(figures.numPendingTests ?? 0) + Number(figures.numTodoTests ?? 0)
    // A file that fails as a whole has no failed test in it.
    const broken = figures.testResults.filter(
      (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
    ).length
    return { passed, failed: Number(figures.numFailedTests) + broken, skipped }
  } catch {
    return { passed: 0, failed: 0, skipped: 0 }
  }
}

const { passed, failed, skipped } = read()
const faults = failed === 0 && (status !== '0' || passed === 0) ? 1 : failed
console.log(`${passed} passed, ${faults} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = faults > 0 ? 1 : 0
