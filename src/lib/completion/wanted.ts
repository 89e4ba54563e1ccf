import { parseQubeName, type QubeName } from '../model/names.ts'
import { parseSelector, standsAlone } from '../model/selector.ts'
import { type CommandWords, type Flag, HELP, type Slot, type Vocabulary } from './vocabulary.ts'

/** A word that may come next. */
export interface Candidate {
  value: string
  /** Clean; '' for none. */
  description: string
}

/** What only a look at this machine and its qubes can tell. */
export interface LiveQuestion {
  kinds: readonly LiveKind[]
  /** The backend that the words before it name. */
  backend: QubeName | undefined
  /** Of which devices it can be. */
  devices: 'all' | 'free' | 'attached'
  /** Words of the same kind that are there already. */
  without: readonly string[]
}

/** holder: a qube that has a device of another. */
export type LiveKind = 'backend' | 'device' | 'alias' | 'frontend' | 'holder' | 'qube' | 'template' | 'rule'

/** What may stand where the cursor is. */
export interface Wanted {
  known: readonly Candidate[]
  live: LiveQuestion | null
  /** What stands in the word already, before the value: `--from=`. */
  prefix: string
  /** What the shell itself completes. */
  shell: 'files' | 'commands' | null
}

const NOTHING: Wanted = { known: [], live: null, prefix: '', shell: null }

/** Which devices a command is about, by its first word; all where it is not told here. */
const ABOUT: Readonly<Record<string, LiveQuestion['devices']>> = {
  attach: 'free',
  run: 'free',
  detach: 'attached',
  move: 'attached',
}

const SLOT_KINDS: Readonly<Record<string, LiveKind>> = {
  BACKEND: 'backend',
  DEVICE: 'device',
  ALIAS: 'alias',
  FRONTEND: 'frontend',
  QUBE: 'qube',
  TEMPLATE: 'template',
  ID: 'rule',
}

/**
 * Finds what may stand where the cursor is. Pure.
 * @param words those before it, without the program's name
 * @param current its own, up to the cursor
 * @param aliases the users' own names for devices
 */
export function findWanted(
  vocabulary: Vocabulary,
  words: readonly string[],
  current: string,
  aliases: ReadonlySet<string>,
): Wanted {
  const command = findCommand(vocabulary, words)
  const next = nextCommandWords(vocabulary, words)
  if (command === undefined) {
    const flags = words.length === 0 && current.startsWith('-') ? [HELP, VERSION].map(flagCandidate) : []
    return { ...NOTHING, known: [...next, ...flags] }
  }
  const wanted = wantedOf(command, readLine(command, words.slice(command.words.length), aliases), current)
  return words.length === command.words.length ? { ...wanted, known: [...next, ...wanted.known] } : wanted
}

const VERSION: Flag = { ...HELP, name: 'version', description: 'tell the version' }

/** The command whose words the line begins with: `setup dom0`, not `setup`. */
function findCommand({ commands }: Vocabulary, words: readonly string[]): CommandWords | undefined {
  return commands
    .filter((command) => command.words.every((word, i) => word === words[i]))
    .sort((a, b) => b.words.length - a.words.length)[0]
}

/** What goes on with the name of a command. */
function nextCommandWords({ commands, topics }: Vocabulary, words: readonly string[]): Candidate[] {
  const candidates = new Map<string, string>()
  for (const command of commands) {
    const next = command.words[words.length]
    if (next === undefined || !words.every((word, i) => word === command.words[i])) continue
    const isWhole = command.words.length === words.length + 1
    if (isWhole) candidates.set(next, command.summary)
    else if (!candidates.has(next)) candidates.set(next, topics[[...words, next].join(':')] ?? '')
  }
  return [...candidates].map(([value, description]) => ({ value, description }))
}

function wantedOf(command: CommandWords, read: ReadLine, current: string): Wanted {
  if (read.open !== null) return wantedInSlot(command, read.open, { ...read, without: [], place: false })
  if (read.rest !== null) {
    return { ...NOTHING, shell: read.rest === 0 && takesCommand(command) ? 'commands' : 'files' }
  }
  if (current.startsWith('-')) return wantedFlag(command, read, current)
  const { slot } = read
  if (slot === undefined) return NOTHING
  return wantedInSlot(command, slot, { ...read, without: slot.multiple ? read.here : [] })
}

/** What the words before the cursor say. */
interface ReadLine {
  flags: ReadonlySet<string>
  /** The slot of a flag that waits for its value. */
  open: Slot | null
  /** The next argument. */
  slot: Slot | undefined
  /** The next word may name a backend, or a device in one word. */
  place: boolean
  /** What stands in that argument already. */
  here: readonly string[]
  backend: QubeName | undefined
  devices: LiveQuestion['devices']
  /** How many words stand after `--`, where it is there. */
  rest: number | null
}

function readLine(command: CommandWords, words: readonly string[], aliases: ReadonlySet<string>): ReadLine {
  const flags = new Set<string>()
  const { slots } = command
  let open: Slot | null = null
  let rest: number | null = null
  let at = 0
  let here: string[] = []
  let backend: QubeName | undefined
  for (const word of words) {
    if (rest !== null) rest++
    else if (open !== null) open = null
    else if (word === '--') rest = 0
    else if (word.startsWith('-') && word !== '-') {
      const flag = findFlag(command, word)
      if (flag !== undefined) flags.add(flag.name)
      open = word.includes('=') || flag?.optional === true ? null : (flag?.value ?? null)
    } else {
      if (isPlace(slots, at) && (standsAlone(word) || aliases.has(word))) {
        backend = backendIn(word)
        at += 2
        here = []
        continue
      }
      if (slots[at]?.name === 'BACKEND') backend = parseQubeName(word)
      here.push(word)
      if (slots[at]?.multiple !== true) {
        at++
        here = []
      }
    }
  }
  // With --replace it does not matter who has the device.
  const devices = flags.has('replace') ? 'all' : (ABOUT[command.words[0] ?? ''] ?? 'all')
  return { flags, open, slot: slots[at], place: isPlace(slots, at), here, backend, devices, rest }
}

/** Where BACKEND DEVICE may be one word: `sys-usb:2-1`, an identity, an alias. */
function isPlace(slots: readonly Slot[], at: number): boolean {
  return slots[at]?.name === 'BACKEND' && slots[at + 1]?.name === 'DEVICE'
}

function backendIn(word: string): QubeName | undefined {
  const parsed = parseSelector(word)
  return 'problem' in parsed ? undefined : parsed.backend
}

function findFlag(command: CommandWords, word: string): Flag | undefined {
  const name = word.split('=', 1)[0]
  return command.flags.find((flag) => `--${flag.name}` === name || `-${flag.char}` === name)
}

function takesCommand(command: CommandWords): boolean {
  return command.slots.some((slot) => /^(CMD|COMMAND|ARGV)$/.test(slot.name))
}

function wantedFlag(command: CommandWords, read: ReadLine, current: string): Wanted {
  const equals = current.indexOf('=')
  if (equals > 0) {
    const slot = findFlag(command, current)?.value
    if (slot == null) return NOTHING
    const prefix = current.slice(0, equals + 1)
    return { ...wantedInSlot(command, slot, { ...read, without: [], place: false }), prefix }
  }
  const excluded = new Set(
    command.flags.filter((flag) => read.flags.has(flag.name)).flatMap((flag) => flag.exclusive),
  )
  const left = command.flags.filter(
    (flag) => !excluded.has(flag.name) && (flag.multiple || !read.flags.has(flag.name)),
  )
  return { ...NOTHING, known: left.map(flagCandidate) }
}

function flagCandidate(flag: Flag): Candidate {
  return { value: `--${flag.name}`, description: flag.description }
}

function wantedInSlot(
  command: CommandWords,
  slot: Slot,
  said: Pick<ReadLine, 'backend' | 'devices' | 'place'> & Pick<LiveQuestion, 'without'>,
): Wanted {
  if (slot.options.length > 0) {
    return { ...NOTHING, known: slot.options.map((value) => ({ value, description: '' })) }
  }
  if (slot.name === 'FILE') return { ...NOTHING, shell: 'files' }
  const kind = SLOT_KINDS[slot.name]
  if (kind === undefined) return NOTHING
  const { backend, devices, without } = said
  return { ...NOTHING, live: { kinds: kindsOf(command, kind, said), backend, devices, without } }
}

function kindsOf(
  command: CommandWords,
  kind: LiveKind,
  said: Pick<ReadLine, 'backend' | 'devices' | 'place'>,
): LiveKind[] {
  // Of what is attached there is little: the devices themselves are offered, in one word.
  if (said.place && said.devices === 'attached') return ['device', 'alias']
  if (said.place) return ['backend', 'device', 'alias']
  if (kind === 'device' && said.backend === undefined) return ['device', 'alias']
  return [kind === 'frontend' && command.words[0] === 'detach' ? 'holder' : kind]
}
