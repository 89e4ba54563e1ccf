/**
 * USB interface classes in plain words (the defined class codes of the USB Implementers Forum), the first that fits.
 * The order is that of interest: a device with several interfaces is named by the first word here that fits.
 * Words after the first are broader ones: what `class:input` finds is a keyboard, too.
 */
const CLASSES = [
  ['0e', 'camera'],
  ['08', 'storage'],
  // Photo cameras, phones and players, which give pictures.
  ['06', 'image', 'camera'],
  ['07', 'printer'],
  ['0b', 'smartcard'],
  ['01', 'audio'],
  ['030101', 'keyboard', 'input'],
  ['030102', 'mouse', 'input'],
  ['e00101', 'bluetooth', 'wireless'],
  // RNDIS, in both of its codes.
  ['e00103', 'network', 'wireless'],
  ['ef0401', 'network'],
  // CDC's abstract control model is what modems and microcontrollers speak.
  ['0202', 'serial'],
  ['02', 'network'],
  ['e0', 'wireless'],
  ['10', 'audio-video', 'audio', 'camera'],
  ['0f', 'health'],
  ['0d', 'content-security'],
  ['03', 'input'],
  ['fe', 'application'],
  ['09', 'hub'],
  // The data side of an interface of class 02, which says what it is.
  ['0a', 'data'],
  ['ef', 'miscellaneous'],
  ['dc', 'diagnostic'],
  ['ff', 'vendor-specific'],
] as const

type Row = (typeof CLASSES)[number]
type WordsOf<R> = R extends readonly [string, ...infer Words] ? Words[number] : never

/** A word for a kind of interface. */
export type InterfaceWord = WordsOf<Row> | 'unknown'

/** All words for interfaces, in the order of interest. */
export const INTERFACE_WORDS: readonly InterfaceWord[] = [
  ...new Set(CLASSES.flatMap(([, ...words]) => words)),
  'unknown',
]

/** The beginnings of the codes of interfaces that a word is for; none for a word that no interface tells. */
export function classPrefixes(word: string): readonly string[] {
  return CLASSES.flatMap(([prefix, ...words]) =>
    (words as readonly string[]).includes(word) ? [prefix] : [],
  )
}

/** The word for one interface code (`030101` is `keyboard`), then the broader ones (`input`). */
export function interfaceWords(code: string): readonly [InterfaceWord, ...InterfaceWord[]] {
  const [, ...words] = CLASSES.find(([prefix]) => code.startsWith(prefix)) ?? ['', 'unknown' as const]
  return words
}
