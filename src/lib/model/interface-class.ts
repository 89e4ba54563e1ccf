/**
 * USB interface classes in plain words (the defined class codes of the USB Implementers Forum).
 * The order is that of interest: a device with several interfaces is named by the first word here that fits.
 */
const CLASSES: readonly (readonly [prefix: string, word: string])[] = [
  ['0e', 'camera'],
  ['08', 'storage'],
  ['06', 'camera/phone'],
  ['07', 'printer'],
  ['0b', 'smartcard'],
  ['01', 'audio'],
  ['030101', 'keyboard'],
  ['030102', 'mouse'],
  ['e001', 'wireless'],
  ['02', 'network/modem'],
  ['0a', 'network/modem'],
  ['e0', 'wireless'],
  ['10', 'audio/video'],
  ['0f', 'health'],
  ['0d', 'content security'],
  ['03', 'input'],
  ['fe', 'application'],
  ['09', 'hub'],
  ['ef', 'miscellaneous'],
  ['dc', 'diagnostic'],
  ['ff', 'vendor specific'],
]

/** The word for one interface code (`030101` is `keyboard`). */
export function interfaceWord(code: string): string {
  return CLASSES.find(([prefix]) => code.startsWith(prefix))?.[1] ?? 'unknown'
}

/** The one word that names a device by its interfaces; null where it shows none. */
export function deviceClass(interfaces: readonly string[]): string | null {
  if (interfaces.length === 0) return null
  const found = CLASSES.find(([prefix]) => interfaces.some((code) => code.startsWith(prefix)))
  return found?.[1] ?? 'unknown'
}
