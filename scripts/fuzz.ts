// Fuzzes the parser of surveys, steered by coverage: `node scripts/ts.mjs scripts/fuzz.ts [SECONDS] [SEED]`.
// An input that reaches a block of the parser not reached before, or much more often, joins the corpus.
// Ends with 1 and the input in .cache/ when the parser throws, takes long, or lets something harmful through.
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import type { QubeName } from '../src/lib/model/names.ts'
import type * as parser from '../src/lib/qubes/survey-parser.ts'
import { assertHarmless } from '../test/lib/qubes/harmless.ts'
import { MARKER } from '../test/lib/qubes/transcript-text.ts'
import { dictionary, seeds } from './fuzz/corpus.ts'
import { makeRandom, mutate } from './fuzz/mutate.ts'

const QUBE = 'sys-usb' as QubeName
/** What a backend may say at most. */
const SIZE_LIMIT = 256 * 1024
/** CPU time that one input may take, ms; the slowest honest one takes a hundredth. */
const TIME_LIMIT = 1500
/** Coverage is read once for so many inputs, since reading it costs as much as parsing dozens. */
const BATCH = 64
const cache = resolve('.cache')

const seconds = Number(process.argv[2] ?? 20)
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31)
if (!(seconds > 0) || !Number.isInteger(seed)) throw new Error('usage: fuzz.ts [SECONDS] [SEED]')

// The parser is a bundle of its own, so that its coverage can be told from the fuzzer's.
const bundle = join(cache, 'fuzz-parser.mjs')
mkdirSync(cache, { recursive: true })
await build({
  entryPoints: ['src/lib/qubes/survey-parser.ts'],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
})
const { parseSurvey } = (await import(pathToFileURL(bundle).href)) as typeof parser

const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })

/** The blocks that have run since the last call, each with the magnitude of how often. */
async function takeBlocks(): Promise<string[]> {
  const { result } = await session.post('Profiler.takePreciseCoverage')
  const url = pathToFileURL(bundle).href
  return result
    .filter((script) => script.url === url)
    .flatMap((script) => script.functions)
    .flatMap((each) => each.ranges)
    .filter((range) => range.count > 0)
    .map((range) => `${range.startOffset}-${range.endOffset}*${Math.floor(Math.log2(range.count) / 3)}`)
}

let slowest = 0
/** @returns what is wrong, or undefined */
function tryInput(input: Buffer): unknown {
  const before = process.cpuUsage()
  try {
    assertHarmless(parseSurvey(input, MARKER, QUBE, true), QUBE, input.length)
  } catch (error) {
    return error
  }
  const { user, system } = process.cpuUsage(before)
  slowest = Math.max(slowest, (user + system) / 1000)
  return slowest > TIME_LIMIT ? new Error(`took ${slowest} ms`) : undefined
}

function fail(input: Buffer, error: unknown): never {
  const file = join(cache, `fuzz-${createHash('sha256').update(input).digest('hex').slice(0, 12)}.bin`)
  writeFileSync(file, input)
  console.error(`fuzz: failed with seed ${seed}; the input is ${file}`)
  console.error(error)
  process.exit(1)
}

const random = makeRandom(seed)
const corpus = [...seeds]
const reached = new Set<string>()
for (const input of corpus) {
  const error = tryInput(input)
  if (error !== undefined) fail(input, error)
}
for (const block of await takeBlocks()) reached.add(block)
const reachedBySeeds = reached.size

let runs = 0

/** Runs inputs whose coverage is read once, and halves them to find those that reach something new. */
async function explore(batch: readonly Buffer[]): Promise<void> {
  for (const input of batch) {
    const error = tryInput(input)
    if (error !== undefined) fail(input, error)
    runs++
  }
  const fresh = (await takeBlocks()).filter((block) => !reached.has(block))
  if (fresh.length === 0) return
  const [only, ...more] = batch
  if (only !== undefined && more.length === 0) {
    for (const block of fresh) reached.add(block)
    corpus.push(only)
    return
  }
  const half = batch.length >> 1
  await explore(batch.slice(0, half))
  await explore(batch.slice(half))
  // A block may count as new only for the batch as a whole, by how often it ran.
  for (const block of fresh) reached.add(block)
}

const end = Date.now() + seconds * 1000
while (Date.now() < end) {
  await explore(Array.from({ length: BATCH }, () => mutate(corpus, dictionary, SIZE_LIMIT, random)))
}
session.disconnect()
console.log(
  `fuzz: ${runs} inputs in ${seconds} s, seed ${seed}: nothing harmful. ` +
    `Corpus ${seeds.length} to ${corpus.length}, blocks ${reachedBySeeds} to ${reached.size}, slowest ${slowest.toFixed(0)} ms.`,
)
