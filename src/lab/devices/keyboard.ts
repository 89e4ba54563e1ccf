import { BootKeyboard } from './boot-keyboard.ts'
import { ComposedDevice, type DeviceDesign } from './composed-device.ts'
import { HidRequests, hidDescriptor } from './hid.ts'

/** A keyboard that can be typed on; the reports wait until a host polls. */
export class Keyboard extends ComposedDevice {
  readonly #keys: BootKeyboard

  constructor(identity: Omit<DeviceDesign, 'interfaces'>) {
    const keys = new BootKeyboard(0)
    const requests = new HidRequests([keys])
    const endpoint = { address: 0x81, attributes: 3, maxPacketSize: 8, interval: 10 }
    const extra = hidDescriptor(keys.reportDescriptor)
    super(
      { ...identity, interfaces: () => [{ number: 0, triple: '030101', extra, endpoints: [endpoint] }] },
      {
        request: (setup, data) => requests.request(setup, data),
        transferIn: (_endpoint, length, signal) => keys.reports.take(length, signal),
        reset() {
          requests.reset()
          keys.reset()
        },
      },
    )
    this.#keys = keys
  }

  /** Throws RangeError for a character that has no key (ASCII letters, digits and a few signs have). */
  type(text: string): void {
    this.#keys.type(text)
  }

  /** Num, caps, scroll lock, compose, kana from bit 0 on, as the host set them. */
  get leds(): number {
    return this.#keys.leds
  }
}
