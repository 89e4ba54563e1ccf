import { ComposedDevice, type DeviceDesign } from './composed-device.ts'
import { type HidInterface, HidRequests, hidDescriptor } from './hid.ts'
import { PacketQueue } from './packet-queue.ts'

/**
 * The Vernier Go!Temp, as the public gotemp driver and Vernier's GoIO library describe its packets: eight
 * bytes each way. A command is its number and seven parameters. In what the device sends, the two highest
 * bits of byte 0 tell a measurement (00) from a command's response (01) and INIT's response (10); a
 * measurement has in byte 0 how many values follow (1 to 3), in byte 1 a rolling counter, then the values,
 * signed and little-endian, in steps of 1/128 degree Celsius.
 */
export const GO_TEMP = {
  packetBytes: 8,
  degreesAStep: 0.0078125,
  getStatus: 0x10,
  start: 0x18,
  stop: 0x19,
  init: 0x1a,
  setPeriod: 0x1b,
  getPeriod: 0x1c,
  setLed: 0x1d,
  getLed: 0x1e,
} as const

/** Vendor page, one report of eight bytes in, out and feature, as the device itself describes them. */
const REPORT_DESCRIPTOR = Buffer.from(
  '0600ff0901a1011500 26ff007508950809018102090191020901b102c0'.replace(' ', ''),
  'hex',
)

/** One sample each half second, until SET_MEASUREMENT_PERIOD says otherwise (in milliseconds here). */
const DEFAULT_PERIOD = 500
const SHORTEST_PERIOD = 10

/** A thermometer in surroundings whose temperature can be changed. */
export class Thermometer extends ComposedDevice {
  readonly #probe: Probe

  constructor(identity: Omit<DeviceDesign, 'interfaces'>, temperature: number) {
    const probe = new Probe(temperature)
    const requests = new HidRequests([probe])
    const endpoint = { address: 0x81, attributes: 3, maxPacketSize: GO_TEMP.packetBytes, interval: 10 }
    const extra = hidDescriptor(REPORT_DESCRIPTOR)
    super(
      { ...identity, interfaces: () => [{ number: 0, triple: '030000', extra, endpoints: [endpoint] }] },
      {
        request: (setup, data) => requests.request(setup, data),
        transferIn: (_endpoint, length, signal) => probe.packets.take(length, signal),
        reset() {
          requests.reset()
          probe.stop()
        },
        close: async () => probe.stop(),
      },
    )
    this.#probe = probe
  }

  /** Degrees Celsius, -256 to 255.99. */
  get temperature(): number {
    return this.#probe.temperature
  }

  set temperature(degrees: number) {
    this.#probe.temperature = degrees
  }
}

/** The measuring part: commands in, packets out. */
class Probe implements HidInterface {
  readonly number = 0
  readonly reportDescriptor = REPORT_DESCRIPTOR
  readonly packets = new PacketQueue()
  temperature: number
  #period = DEFAULT_PERIOD
  #counter = 0
  #led = Buffer.from([0x40, 0x10])
  #timer: NodeJS.Timeout | null = null

  constructor(temperature: number) {
    this.temperature = temperature
  }

  getReport(type: number): Buffer | null {
    return type === 1 ? this.#measurement() : null
  }

  /** ldusb sends commands as an input report, the others as an output report; the device minds neither. */
  setReport(type: number, data: Buffer): boolean {
    if ((type !== 1 && type !== 2) || data.length < 1 || data.length > GO_TEMP.packetBytes) return false
    const command = Buffer.alloc(GO_TEMP.packetBytes)
    data.copy(command)
    this.packets.push(this.#obey(command))
    if (command.readUInt8(0) === GO_TEMP.start) this.#start()
    return true
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
    this.packets.clear()
  }

  /** Does what a command says and returns the response; INIT and START throw away what was waiting. */
  #obey(command: Buffer): Buffer {
    const number = command.readUInt8(0)
    switch (number) {
      case GO_TEMP.init:
        this.stop()
        this.#period = DEFAULT_PERIOD
        return packet([0x9a, number])
      case GO_TEMP.start:
      case GO_TEMP.stop:
        this.stop()
        return response(number)
      case GO_TEMP.setPeriod:
        this.#period = Math.max(SHORTEST_PERIOD, command.readUInt32LE(1))
        return response(number)
      case GO_TEMP.getPeriod: {
        const period = Buffer.alloc(4)
        period.writeUInt32LE(this.#period)
        return response(number, period)
      }
      case GO_TEMP.setLed:
        this.#led = Buffer.from(command.subarray(1, 3))
        return response(number)
      case GO_TEMP.getLed:
        return response(number, this.#led)
      case GO_TEMP.getStatus:
        return response(number, Buffer.from([0, 0x00, 0x01, 0x00, 0x01]))
      default:
        // An error response: the command, then what was wrong with it (0x30, not supported).
        return packet([0x7a, number, 0x30])
    }
  }

  #start(): void {
    this.#counter = 0
    this.packets.push(this.#measurement())
    this.#timer = setInterval(
      () => this.packets.push(this.#measurement()),
      Math.min(this.#period, 0x7fffffff),
    )
    // A device that nobody closes must not keep the lab's process alive.
    this.#timer.unref()
  }

  #measurement(): Buffer {
    const bytes = packet([1, this.#counter])
    this.#counter = (this.#counter + 1) & 0xff
    const steps = Math.round(this.temperature / GO_TEMP.degreesAStep)
    bytes.writeInt16LE(Math.max(-32768, Math.min(32767, steps)), 2)
    return bytes
  }
}

/** The only packet of a response: 0x58 and the bytes that follow the header; a plain one has no data. */
function response(command: number, data: Buffer = Buffer.from([0])): Buffer {
  return packet([0x58 | (data.length + 1), command, ...data])
}

function packet(bytes: readonly number[]): Buffer {
  const whole = Buffer.alloc(GO_TEMP.packetBytes)
  whole.set(bytes)
  return whole
}
