// `npm run bench [NAME…]`: all benchmarks, or those named. Each prints a table.
import { benchAdmin } from './admin.ts'
import { benchAttach } from './attach.ts'
import { benchAuto } from './auto.ts'
import { benchFloor } from './floor.ts'
import { benchKernel } from './kernel.ts'
import { benchList } from './list.ts'
import { benchStore } from './store.ts'

const BENCHMARKS: Record<string, () => Promise<void>> = {
  floor: benchFloor,
  list: benchList,
  attach: benchAttach,
  admin: benchAdmin,
  store: benchStore,
  auto: benchAuto,
  kernel: benchKernel,
}

const named = process.argv.slice(2)
for (const name of named.length > 0 ? named : Object.keys(BENCHMARKS)) {
  const benchmark = BENCHMARKS[name]
  if (benchmark === undefined) {
    throw new Error(`there is no benchmark ${name}, but ${Object.keys(BENCHMARKS).join(', ')}`)
  }
  await benchmark()
}
