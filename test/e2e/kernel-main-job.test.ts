import { it } from 'vitest'
import { whyNoMachines } from './kernel-lab.ts'

// The main job's own tests, word for word, with virtual machines as qubes and the default lab's devices in a
// real xHCI controller.
const why = await whyNoMachines()
if (why === null) {
  process.env.QUSB_TEST_ENGINE = 'kernel'
  await import('./main-job.test.ts')
} else it.skip(`the main job on real kernels: ${why}`, () => {})
