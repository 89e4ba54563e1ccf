import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Plugin } from '@oclif/core/config'
import type { Commands } from '../../src/cli/run.ts'
import { COMMANDS as labCommands } from '../../src/lab/main.ts'
import { valueWord } from '../../src/lib/completion/vocabulary.ts'
import { COMMANDS as productCommands } from '../../src/main.ts'

/** What oclif must know of the commands before it loads one. */
export type Manifest = Plugin['manifest']

/** A command as its documentation shows it. */
export interface CommandDoc {
  /** `setup dom0` */
  words: string
  summary: string
  description: string
  args: { name: string; description: string; required: boolean; multiple: boolean }[]
  flags: FlagDoc[]
  examples: { description: string; command: string }[]
}

export interface FlagDoc {
  name: string
  char: string | undefined
  /** The word for its value; undefined for a switch. */
  value: string | undefined
  description: string
  default: string | undefined
  /** It is every command's. */
  global: boolean
}

/**
 * The manifests, made from the commands' classes: of all commands, for the sources, and of the product's alone, for
 * dom0's package, which leaves the lab out.
 * @param root the project's directory
 */
export async function makeManifests(root: string): Promise<{ all: Manifest; product: Manifest }> {
  const product = await loadAll(productCommands)
  const all = new Map([...product, ...(await loadAll(labCommands))])
  return { all: await makeManifest(root, all), product: await makeManifest(root, product) }
}

async function loadAll(commands: Commands): Promise<Map<string, unknown>> {
  const classes = Object.entries(commands).map(async ([id, load]) => [id, (await load()).default] as const)
  return new Map(await Promise.all(classes))
}

async function makeManifest(root: string, classes: ReadonlyMap<string, unknown>): Promise<Manifest> {
  const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const plugin = new Plugin({
    root,
    pjson,
    name: pjson.name,
    isRoot: true,
    ignoreManifest: true,
    errorOnManifestCreate: true,
    respectNoCacheDefault: true,
  })
  // The plugin would look for files of commands.
  Object.assign(plugin, {
    getCommandIDs: async () => [...classes.keys()].sort(),
    findCommand: async (id: string) => Object.assign(classes.get(id) as object, { id, plugin }),
  })
  await plugin.load()
  return plugin.manifest
}

/** The commands for documentation, in the order of their names. */
export function describeCommands(manifest: Manifest): CommandDoc[] {
  return Object.entries(manifest.commands)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, command]) => {
      const words = id.replaceAll(':', ' ')
      const fill = (text: string): string =>
        text
          .replaceAll('<%= config.bin %>', 'qusb')
          .replaceAll('<%= command.id %>', words)
          .replace(/<%.*?%>/g, (unknown) => {
            throw new Error(`${words}: the documentation cannot fill in ${unknown}`)
          })
      const summary = fill(command.summary ?? command.description?.split('\n')[0] ?? '')
      return {
        words,
        summary,
        description: fill(command.description ?? '')
          .replace(summary, '')
          .trim(),
        args: Object.values(command.args).map((arg) => ({
          name: arg.name.toUpperCase(),
          description: fill(arg.description ?? ''),
          required: arg.required === true,
          multiple: arg.multiple === true,
        })),
        flags: Object.values(command.flags)
          .filter((flag) => flag.hidden !== true)
          .sort((a, b) => (a.name < b.name ? -1 : 1))
          .map(
            (flag): FlagDoc => ({
              name: flag.type === 'boolean' && flag.allowNo === true ? `[no-]${flag.name}` : flag.name,
              char: flag.char,
              value: flag.type === 'boolean' ? undefined : (flag.options?.join('|') ?? valueWord(flag)),
              description: fill(flag.summary ?? flag.description ?? ''),
              default:
                flag.type === 'boolean' || flag.default === undefined ? undefined : String(flag.default),
              global: flag.helpGroup === 'GLOBAL',
            }),
          ),
        examples: (command.examples ?? []).map((example) =>
          typeof example === 'string'
            ? { description: '', command: fill(example) }
            : { description: fill(example.description), command: fill(example.command) },
        ),
      }
    })
}

/** A description's parts: paragraphs, and tables of a word and what it means (`  late-answer  its services…`). */
export type Part =
  | { kind: 'paragraph'; text: string }
  | { kind: 'terms'; terms: [term: string, meaning: string][] }

/** Takes a description apart; the lines of a paragraph are joined. */
export function partsOf(description: string): Part[] {
  const parts: Part[] = []
  let fresh = true
  for (const line of description.split('\n')) {
    const last = parts.at(-1)
    const [, term, meaning] = /^ {2}(\S+) {2,}(\S.*)$/.exec(line) ?? []
    if (term !== undefined && meaning !== undefined) {
      if (last?.kind === 'terms') last.terms.push([term, meaning])
      else parts.push({ kind: 'terms', terms: [[term, meaning]] })
    } else if (line.trim() !== '') {
      if (last?.kind === 'paragraph' && !fresh) last.text += ` ${line.trim()}`
      else parts.push({ kind: 'paragraph', text: line.trim() })
    }
    fresh = line.trim() === ''
  }
  return parts
}

/** `qusb attach [BACKEND] [DEVICE] [FRONTEND] [--dry-run] …`: the words and flags of a command in short. */
export function synopsisOf(command: CommandDoc): string[] {
  return [
    ...command.args.map((arg) => {
      const word = arg.multiple ? `${arg.name}...` : arg.name
      return arg.required ? word : `[${word}]`
    }),
    ...command.flags.filter((flag) => !flag.global).map((flag) => `[${flagWords(flag)}]`),
  ]
}

/** `-a, --all` or `--timeout SECONDS` */
export function flagWords(flag: FlagDoc): string {
  return `${flag.char === undefined ? '' : `-${flag.char}, `}--${flag.name}${flag.value === undefined ? '' : ` ${flag.value}`}`
}
