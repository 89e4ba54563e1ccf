/** A number of 0 up to and without `below`. */
export type Random = (below: number) => number

/** A generator that a seed repeats (mulberry32). */
export function makeRandom(seed: number): Random {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

type Change = (input: Buffer, corpus: readonly Buffer[], words: readonly string[], random: Random) => Buffer

const splice = (input: Buffer, from: number, to: number, put: Buffer): Buffer =>
  Buffer.concat([input.subarray(0, from), put, input.subarray(to)])

/** Where the lines start. */
function lineStarts(input: Buffer): number[] {
  const starts = [0]
  for (let at = input.indexOf(10); at >= 0; at = input.indexOf(10, at + 1)) starts.push(at + 1)
  return starts
}

function pickLine(input: Buffer, random: Random): [from: number, to: number] {
  const starts = lineStarts(input)
  const line = random(starts.length)
  return [starts[line] ?? 0, starts[line + 1] ?? input.length]
}

const CHANGES: readonly Change[] = [
  function flipBit(input, _corpus, _words, random) {
    const copy = Buffer.from(input)
    const at = random(copy.length)
    copy[at] = (copy[at] ?? 0) ^ (1 << random(8))
    return copy
  },
  function putBytes(input, _corpus, _words, random) {
    const at = random(input.length + 1)
    const bytes = Buffer.from(Array.from({ length: 1 + random(4) }, () => random(256)))
    return splice(input, at, at + random(3), bytes)
  },
  function putWord(input, _corpus, words, random) {
    const at = random(input.length + 1)
    return splice(input, at, at + random(8), Buffer.from(words[random(words.length)] ?? ''))
  },
  function cut(input, _corpus, _words, random) {
    const at = random(input.length)
    return splice(input, at, at + 1 + random(24), Buffer.alloc(0))
  },
  function changeNumber(input, _corpus, _words, random) {
    const numbers = [...input.toString('latin1').matchAll(/[0-9]+/g)]
    const number = numbers[random(numbers.length)]
    if (number === undefined) return input
    // Another number of the same input makes two things that claim to be one.
    const other = numbers[random(numbers.length)]?.[0] ?? ''
    const odd =
      ['0', '1', '9', '65536', '4294967296', '99999999999999999999', '-1', '00', '127'][random(9)] ?? ''
    const value = random(2) === 0 ? other : odd
    return splice(input, number.index, number.index + number[0].length, Buffer.from(value))
  },
  function copyAttribute(input, _corpus, _words, random) {
    // Two devices that claim one thing: the same attribute of another, or the same name.
    const lines = [...input.toString('latin1').matchAll(/^[0-9./:-]+\/([A-Za-z_]+):(.*)$/gm)]
    const to = lines[random(lines.length)]
    const same = lines.filter(([, name]) => name === to?.[1])
    const from = same[random(same.length)]
    if (to === undefined || from === undefined) return input
    const end = to.index + to[0].length
    return splice(input, end - (to[2] ?? '').length, end, Buffer.from(from[2] ?? '', 'latin1'))
  },
  function repeatLine(input, _corpus, _words, random) {
    const [from, to] = pickLine(input, random)
    const times = random(20) === 0 ? 1 + random(2000) : 1 + random(3)
    return splice(input, to, to, Buffer.concat(Array(times).fill(input.subarray(from, to))))
  },
  function dropLine(input, _corpus, _words, random) {
    const [from, to] = pickLine(input, random)
    return splice(input, from, to, Buffer.alloc(0))
  },
  function moveLine(input, _corpus, _words, random) {
    const [from, to] = pickLine(input, random)
    const line = input.subarray(from, to)
    const rest = splice(input, from, to, Buffer.alloc(0))
    const [at] = pickLine(rest, random)
    return splice(rest, at, at, line)
  },
  function takeLine(input, corpus, _words, random) {
    const other = corpus[random(corpus.length)] ?? input
    const [from, to] = pickLine(other, random)
    const [at, end] = pickLine(input, random)
    return splice(input, at, random(2) === 0 ? at : end, other.subarray(from, to))
  },
]

/** One to six changes to one of the corpus. */
export function mutate(
  corpus: readonly Buffer[],
  words: readonly string[],
  sizeLimit: number,
  random: Random,
): Buffer {
  let input = corpus[random(corpus.length)] ?? Buffer.alloc(0)
  for (let changes = 1 + random(6); changes > 0; changes--) {
    input = CHANGES[random(CHANGES.length)]?.(input, corpus, words, random) ?? input
  }
  return input.subarray(0, sizeLimit)
}
