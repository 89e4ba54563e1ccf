import type { EmulatedDevice } from './emulated.ts'
import type { DeviceFacts } from './facts.ts'
import { readFacts } from './read-facts.ts'

/** All that the backend's sysfs shows of an emulated device. */
export function describe(device: EmulatedDevice): DeviceFacts {
  return readFacts(device.descriptors, device.speed, (index) => {
    const text = device.strings[index]
    // What does not fit a string descriptor never reaches the host.
    return text === undefined ? null : text.slice(0, 126)
  })
}
