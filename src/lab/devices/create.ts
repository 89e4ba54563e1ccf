import type { DeviceDesign } from './composed-device.ts'
import type { EmulatedDevice, UsbSpeed } from './emulated.ts'
import { Keyboard } from './keyboard.ts'
import type { DeviceKind, DeviceOptions } from './kinds.ts'
import { createSecurityKey } from './security-key.ts'
import { createSerialAdapter } from './serial-adapter.ts'
import { createStick } from './stick.ts'
import { Thermometer } from './thermometer.ts'
import { createWebcam } from './webcam.ts'

type Identity = Omit<DeviceDesign, 'interfaces'>

interface Model extends Omit<Identity, 'kind' | 'speed'> {
  /** The first is the default. */
  readonly speeds: readonly UsbSpeed[]
}

const ROOM_TEMPERATURE = 21.5

/** What each kind is when nothing else is asked for. */
const MODELS: Readonly<Record<DeviceKind, Model>> = {
  stick: {
    speeds: [5000, 480, 12],
    vendorId: 0x0951,
    productId: 0x1666,
    bcdDevice: 0x0110,
    deviceTriple: '000000',
    manufacturer: 'Kingston',
    product: 'DataTraveler 3.0',
    serial: '60A44C413C8FB171A97600B1',
    attributes: 0x80,
    milliamps: 224,
  },
  keyboard: {
    speeds: [1.5, 12],
    vendorId: 0x046d,
    productId: 0xc31c,
    bcdDevice: 0x6402,
    deviceTriple: '000000',
    manufacturer: 'Logitech',
    product: 'USB Keyboard',
    serial: null,
    attributes: 0xa0,
    milliamps: 90,
  },
  'security-key': {
    speeds: [12],
    vendorId: 0x1050,
    productId: 0x0407,
    bcdDevice: 0x0543,
    deviceTriple: '000000',
    manufacturer: 'Yubico',
    product: 'YubiKey OTP+FIDO',
    serial: '0018092417',
    attributes: 0x80,
    milliamps: 30,
  },
  thermometer: {
    speeds: [1.5, 12],
    vendorId: 0x08f7,
    productId: 0x0002,
    bcdDevice: 0x0121,
    deviceTriple: '000000',
    manufacturer: 'Vernier Software & Technology',
    product: 'Go! Temp ver 1.53',
    serial: null,
    attributes: 0x80,
    milliamps: 80,
  },
  webcam: {
    speeds: [480, 12],
    vendorId: 0x046d,
    productId: 0x0825,
    bcdDevice: 0x0012,
    // A device of several functions, bound by interface association descriptors.
    deviceTriple: 'ef0201',
    manufacturer: null,
    product: 'Webcam C270',
    serial: null,
    attributes: 0x80,
    milliamps: 500,
  },
  serial: {
    speeds: [12],
    vendorId: 0x0403,
    productId: 0x6001,
    bcdDevice: 0x0600,
    deviceTriple: '000000',
    manufacturer: 'FTDI',
    product: 'FT232R USB UART',
    serial: 'A50285BI',
    attributes: 0xa0,
    milliamps: 90,
  },
}

/**
 * Makes a device that nothing is connected to yet. Strings go out as they are given, cut to the 126 units that
 * a descriptor holds. Throws Error with the name of the option that cannot be.
 */
export async function createDevice(options: DeviceOptions): Promise<EmulatedDevice> {
  const identity = identify(options)
  switch (options.kind) {
    case 'stick':
      if (options.image === undefined) throw new Error('image: a stick needs an image file')
      return createStick(identity, options.image)
    case 'keyboard':
      return new Keyboard(identity)
    case 'security-key':
      return createSecurityKey(identity)
    case 'thermometer':
      return new Thermometer(identity, options.temperature ?? ROOM_TEMPERATURE)
    case 'webcam':
      return createWebcam(identity)
    case 'serial':
      return createSerialAdapter(identity)
  }
}

function identify(options: DeviceOptions): Identity {
  const { speeds, ...model } = MODELS[options.kind]
  const speed = options.speed ?? speeds[0] ?? 12
  if (!speeds.includes(speed)) {
    throw new Error(`speed: a ${options.kind} runs at ${speeds.join(' or ')} Mb/s, not ${speed}`)
  }
  return {
    ...model,
    kind: options.kind,
    speed,
    vendorId: parseId('vendorId', options.vendorId) ?? model.vendorId,
    productId: parseId('productId', options.productId) ?? model.productId,
    manufacturer: choose(options.manufacturer, model.manufacturer),
    product: choose(options.product, model.product),
    serial: choose(options.serial, model.serial),
  }
}

/** Null takes a string away that the model has. */
function choose(asked: string | null | undefined, usual: string | null): string | null {
  return asked === undefined ? usual : asked
}

function parseId(option: string, text: string | undefined): number | null {
  if (text === undefined) return null
  if (!/^[0-9a-f]{4}$/i.test(text)) throw new Error(`${option}: four hex digits, not ${JSON.stringify(text)}`)
  return Number.parseInt(text, 16)
}
