import type { HidInterface } from './hid.ts'
import { PacketQueue } from './packet-queue.ts'

/** The report descriptor of HID 1.11, appendix E.6: eight modifiers, five LEDs, six keys. */
const KEYBOARD_REPORT_DESCRIPTOR = Buffer.from(
  [
    '05010906a101', // usage page desktop, keyboard, application
    '050719e029e71500250175019508', // modifiers: eight bits
    '8102',
    '950175088101', // one reserved byte
    '9505750105081901290591029501750391019506', // five LEDs out and their padding
    '7508150025650507190029658100', // six key codes
    'c0',
  ].join(''),
  'hex',
)

const KEYBOARD_REPORT_BYTES = 8

/** The key of an ASCII character on a US keyboard (HID Usage Tables, page 7); null when it has none. */
function findKey(character: string): { usage: number; shift: boolean } | null {
  const code = character.charCodeAt(0)
  if (character >= 'a' && character <= 'z') return { usage: 4 + code - 97, shift: false }
  if (character >= 'A' && character <= 'Z') return { usage: 4 + code - 65, shift: true }
  if (character >= '1' && character <= '9') return { usage: 30 + code - 49, shift: false }
  if (character === '0') return { usage: 39, shift: false }
  const plain = '\n\x1b\b\t -=[]\\'.indexOf(character)
  if (plain >= 0) return { usage: 40 + plain, shift: false }
  return null
}

/** The typing part of a keyboard, or of a security key that types: an interface and its reports. */
export class BootKeyboard implements HidInterface {
  readonly number: number
  readonly reportDescriptor = KEYBOARD_REPORT_DESCRIPTOR
  readonly reports = new PacketQueue(1024)
  #leds = 0

  constructor(number: number) {
    this.number = number
  }

  /** Presses and releases the keys of a text. Throws RangeError for a character that has no key here. */
  type(text: string): void {
    const keys = [...text].map((character) => {
      const key = findKey(character)
      if (!key) throw new RangeError(`no key for ${JSON.stringify(character)}`)
      return key
    })
    for (const { usage, shift } of keys) {
      this.reports.push(Buffer.from([shift ? 2 : 0, 0, usage, 0, 0, 0, 0, 0]))
      this.reports.push(Buffer.alloc(KEYBOARD_REPORT_BYTES))
    }
  }

  /** Num, caps, scroll lock, compose, kana from bit 0 on, as the host set them. */
  get leds(): number {
    return this.#leds
  }

  reset(): void {
    this.#leds = 0
  }

  getReport(type: number): Buffer | null {
    if (type === 1) return Buffer.alloc(KEYBOARD_REPORT_BYTES)
    return type === 2 ? Buffer.from([this.#leds]) : null
  }

  setReport(type: number, data: Buffer): boolean {
    if (type !== 2 || data.length !== 1) return false
    this.#leds = data.readUInt8(0)
    return true
  }
}
