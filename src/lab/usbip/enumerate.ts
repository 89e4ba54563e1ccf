import type { UsbSpeed } from '../devices/emulated.ts'
import type { DeviceFacts } from '../devices/facts.ts'
import { DescriptorError, readDescriptors, readFacts } from '../devices/read-facts.ts'
import { DESCRIPTOR, REQUEST, REQUEST_TYPE } from '../devices/setup.ts'
import type { ImportedDevice, TransferOptions } from './interface.ts'

type ControlOnly = Pick<ImportedDevice, 'control'>

/**
 * Enumerates a device as a hub does: device descriptor, the object store of a SuperSpeed one, configurations,
 * strings; then sets the first configuration. The address is the host controller's own affair (vhci_hcd
 * answers SET_ADDRESS itself). Throws UsbipError or DescriptorError.
 */
export async function enumerate(
  device: ControlOnly,
  speed: UsbSpeed,
  options: TransferOptions,
): Promise<DeviceFacts> {
  const first = await getDescriptor(device, DESCRIPTOR.device, 0, 0, speed === 5000 ? 18 : 8, options)
  const packet = first.length >= 8 ? first.readUInt8(7) : 0
  const plausible = speed === 5000 ? packet === 9 : [8, 16, 32, 64].includes(packet)
  if (!plausible) throw new DescriptorError(`a control packet size of ${packet}`)
  const descriptor = await getDescriptor(device, DESCRIPTOR.device, 0, 0, 18, options)
  if (descriptor.length !== 18 || descriptor[1] !== DESCRIPTOR.device) {
    throw new DescriptorError('no device descriptor')
  }
  if (descriptor.readUInt16LE(2) >= 0x0201) {
    const bos = await getDescriptor(device, DESCRIPTOR.bos, 0, 0, 5, options)
    if (bos.length !== 5) throw new DescriptorError('no object store')
    await getDescriptor(device, DESCRIPTOR.bos, 0, 0, bos.readUInt16LE(2), options)
  }
  const count = descriptor.readUInt8(17)
  // Linux reads no more than eight (USB_MAXCONFIG) and none is none.
  if (count < 1 || count > 8) throw new DescriptorError(`${count} configurations`)
  const configurations: Buffer[] = []
  for (let i = 0; i < count; i++) configurations.push(await getConfiguration(device, i, options))
  const descriptors = Buffer.concat([descriptor, ...configurations])
  const { facts, stringIndex } = readDescriptors(descriptors)
  const strings = new Map<number, string>()
  const wanted = Object.values(stringIndex).filter((index) => index !== 0)
  if (wanted.length > 0) {
    const language = await getLanguage(device, options)
    for (const index of wanted) strings.set(index, await getString(device, index, language, options))
  }
  await device.control(
    {
      requestType: REQUEST_TYPE.standardDevice,
      request: REQUEST.setConfiguration,
      value: facts.configurationValue,
      index: 0,
      length: 0,
    },
    undefined,
    options,
  )
  return readFacts(descriptors, speed, (index) => strings.get(index) ?? null)
}

async function getDescriptor(
  device: ControlOnly,
  type: number,
  index: number,
  language: number,
  length: number,
  options: TransferOptions,
): Promise<Buffer> {
  const requestType = REQUEST_TYPE.in | REQUEST_TYPE.standardDevice
  const value = (type << 8) | index
  const setup = { requestType, request: REQUEST.getDescriptor, value, index: language, length }
  return device.control(setup, undefined, options)
}

async function getConfiguration(device: ControlOnly, index: number, options: TransferOptions) {
  const head = await getDescriptor(device, DESCRIPTOR.configuration, index, 0, 9, options)
  if (head.length !== 9 || head[1] !== DESCRIPTOR.configuration) {
    throw new DescriptorError('no configuration descriptor')
  }
  const total = head.readUInt16LE(2)
  const whole = await getDescriptor(device, DESCRIPTOR.configuration, index, 0, total, options)
  if (whole.length !== total || total < 9) throw new DescriptorError('a configuration that is cut off')
  return whole
}

async function getLanguage(device: ControlOnly, options: TransferOptions): Promise<number> {
  const table = await getDescriptor(device, DESCRIPTOR.string, 0, 0, 255, options)
  if (table.length < 4 || table[1] !== DESCRIPTOR.string) throw new DescriptorError('no table of languages')
  return table.readUInt16LE(2)
}

/** Surrogates may be broken: decoding keeps each unit as it came. */
async function getString(device: ControlOnly, index: number, language: number, options: TransferOptions) {
  const bytes = await getDescriptor(device, DESCRIPTOR.string, index, language, 255, options)
  const length = bytes[0] ?? 0
  if (length < 2 || length > bytes.length || bytes[1] !== DESCRIPTOR.string) {
    throw new DescriptorError(`string ${index} is no string`)
  }
  return bytes.subarray(2, length).toString('utf16le')
}
