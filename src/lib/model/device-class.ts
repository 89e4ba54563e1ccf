import type { Identity } from './identity.ts'
import { INTERFACE_WORDS, type InterfaceWord, interfaceWords } from './interface-class.ts'

/** Kinds of devices that no interface class tells: their makers' numbers do. */
type KnownWord = 'security-key' | 'serial'

/**
 * Makers' numbers that tell more than the interfaces do: `VID:PID`, or `VID:` for all of a maker's that carry what a
 * security key has. The keys are those of the FIDO alliance's members whose udev rules the distributions ship; the
 * serial adapters are the four common families of chips.
 */
const KNOWN: Readonly<Record<string, KnownWord>> = {
  '1050:': 'security-key', // Yubico
  '20a0:': 'security-key', // Nitrokey
  '096e:': 'security-key', // Feitian
  '349e:': 'security-key', // Token2
  '1ea8:': 'security-key', // Thetis
  '2581:': 'security-key', // Plug-up
  '18d1:5026': 'security-key', // Google Titan
  '18d1:9470': 'security-key',
  '0483:a2ca': 'security-key', // Solo
  '1209:beee': 'security-key',
  '1209:5070': 'security-key',
  '1209:53c1': 'security-key', // Trezor
  '1d50:60fc': 'security-key', // OnlyKey
  '0403:6001': 'serial', // FTDI
  '0403:6010': 'serial',
  '0403:6011': 'serial',
  '0403:6014': 'serial',
  '0403:6015': 'serial',
  '067b:2303': 'serial', // Prolific
  '067b:23a3': 'serial',
  '10c4:ea60': 'serial', // Silicon Labs
  '10c4:ea70': 'serial',
  '1a86:5523': 'serial', // WCH
  '1a86:7523': 'serial',
  '1a86:55d4': 'serial',
}

/** A word that tells what kind of device it is: what `class:WORD` takes, and a listing shows. */
export type ClassWord = InterfaceWord | KnownWord

/** All of them, in the order of interest. */
export const CLASS_WORDS: readonly ClassWord[] = [...new Set<ClassWord>(['security-key', ...INTERFACE_WORDS])]

/** @returns the word, or undefined where it is none */
export function parseClassWord(text: string): ClassWord | undefined {
  return CLASS_WORDS.find((word) => word === text)
}

/** What a device's class is told from. */
export type Classifiable = Pick<Identity, 'vendorId' | 'productId'> & {
  interfaces: readonly string[]
  /** Its descriptor says that it is a hub, whatever its interfaces are. */
  hub?: boolean
}

/** The one word that names a device by what it can do; null where it shows no interface. */
export function deviceClass(device: Classifiable): ClassWord | null {
  const known = knownWord(device)
  if (known !== undefined) return known
  if (device.interfaces.length === 0) return null
  const words = device.interfaces.map((code) => interfaceWords(code)[0])
  return INTERFACE_WORDS.find((word) => words.includes(word)) ?? 'unknown'
}

/**
 * Whether a device is of a class: one of its interfaces is, so that a stick that types is `input` and `storage`.
 * All of it is the device's own claim.
 */
export function isOfClass(device: Classifiable, word: ClassWord): boolean {
  return (
    knownWord(device) === word ||
    (word === 'hub' && device.hub === true) ||
    device.interfaces.some((code) => interfaceWords(code).includes(word as InterfaceWord))
  )
}

function knownWord(device: Classifiable): KnownWord | undefined {
  const word = KNOWN[`${device.vendorId}:${device.productId}`] ?? KNOWN[`${device.vendorId}:`]
  if (word !== 'security-key') return word
  // The same makers sell other things: a key has a smartcard, or HID that is neither keyboard nor mouse.
  const speaks = device.interfaces.some((code) => code === '030000' || code.startsWith('0b'))
  return speaks ? word : undefined
}
