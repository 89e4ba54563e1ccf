// One of the store benchmark's processes: `store-process SITE_FILE read|update ID`. Prints times in ms, as JSON.
import { readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { siteFrom } from '../src/lib/site/site.ts'
import { acquireLock } from '../src/lib/store/lock.ts'
import { readState, updateState } from '../src/lib/store/store.ts'

const [siteFile = '', what = '', id = ''] = process.argv.slice(2)
const site = siteFrom(JSON.parse(readFileSync(siteFile, 'utf8')))

/** The kernel's monotonic clock, which all processes share. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

async function update(): Promise<void> {
  // Loading and compiling is the start's cost, not the lock's: it comes before the crowd sets off.
  readState(site)
  const own = await acquireLock(site, join(site.runDir, `${id}.lock`), { waitMs: 0, removeOnRelease: true })
  if (!('holder' in own)) own.release()
  writeSync(1, 'ready\n')
  // All start when the benchmark closes this pipe.
  process.stdin.resume()
  await new Promise((resolve) => process.stdin.once('end', resolve))
  const asked = now()
  let inside = 0
  await updateState(site, (records) => {
    inside = now()
    return records.map((record) => (record.id === id ? { ...record, phase: 'detaching' } : record))
  })
  writeSync(1, `${JSON.stringify({ asked, inside, done: now() })}\n`)
}

function read(): void {
  const began = now()
  readState(site)
  writeSync(1, `${JSON.stringify({ took: now() - began })}\n`)
}

if (what === 'read') read()
else {
  update().catch((error: unknown) => {
    console.error(error)
    process.exitCode = 1
  })
}
