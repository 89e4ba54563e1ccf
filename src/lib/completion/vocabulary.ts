import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A place for a word of the user's: an argument, or the value of a flag. */
export interface Slot {
  /** As the help writes it: `BACKEND`. */
  name: string
  /** The only words that may stand there; empty where it takes others. */
  options: readonly string[]
  /** Every further word of the line goes there as well. */
  multiple: boolean
}

export interface Flag {
  name: string
  char: string | undefined
  description: string
  /** null for a switch. */
  value: Slot | null
  /** The value stands behind "=" or is left out, `--wait[=SECONDS]`: the next word is none. */
  optional: boolean
  multiple: boolean
  /** Flags that it does not go together with. */
  exclusive: readonly string[]
}

export interface CommandWords {
  /** `setup`, `dom0` */
  words: readonly string[]
  summary: string
  slots: readonly Slot[]
  flags: readonly Flag[]
}

/** All that can be typed and is known beforehand. */
export interface Vocabulary {
  commands: readonly CommandWords[]
  /** What a first word is about that is no command itself. */
  topics: Readonly<Record<string, string>>
}

interface ManifestFlag {
  name: string
  type: string
  char?: string
  summary?: string
  description?: string
  helpValue?: string | string[]
  options?: string[]
  multiple?: boolean
  hidden?: boolean
  exclusive?: string[]
}

interface Manifest {
  commands: Record<
    string,
    {
      summary?: string
      hidden?: boolean
      args: Record<string, { name: string; options?: string[]; multiple?: boolean }>
      flags: Record<string, ManifestFlag>
    }
  >
}

/** The word that stands for a flag's value in help and manual, `FRONTEND`. */
export function valueWord(flag: { name: string; helpValue?: string | string[] }): string {
  const value = Array.isArray(flag.helpValue) ? flag.helpValue[0] : flag.helpValue
  return value?.replace(/[<>]/g, '') ?? flag.name.toUpperCase().replaceAll('-', '_')
}

/**
 * Reads what `npm run generate` made of the commands: oclif's manifest, and the topics beside it.
 * @param root the directory of both files, which are as trusted as the program
 */
export function readVocabulary(root: string): Vocabulary {
  const manifest: Manifest = JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8'))
  const { oclif } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const topics: Record<string, { description: string }> = oclif.topics
  return {
    commands: Object.entries(manifest.commands)
      .filter(([, command]) => command.hidden !== true)
      .map(([id, command]) => ({
        words: id.split(':'),
        summary: command.summary ?? '',
        slots: Object.values(command.args).map((arg) => readSlot(arg.name.toUpperCase(), arg)),
        flags: [
          ...Object.values(command.flags)
            .filter((flag) => flag.hidden !== true)
            .map(readFlag),
          HELP,
        ],
      })),
    topics: Object.fromEntries(Object.entries(topics).map(([name, { description }]) => [name, description])),
  }
}

function readFlag(flag: ManifestFlag): Flag {
  return {
    name: flag.name,
    char: flag.char,
    description: flag.summary ?? flag.description ?? '',
    value: flag.type === 'boolean' ? null : readSlot(valueWord(flag), { ...flag, multiple: false }),
    optional: valueWord(flag).startsWith('['),
    multiple: flag.multiple === true,
    exclusive: flag.exclusive ?? [],
  }
}

function readSlot(name: string, from: { options?: string[]; multiple?: boolean }): Slot {
  return { name, options: from.options ?? [], multiple: from.multiple === true }
}

/** oclif's own, which the manifest does not have. */
export const HELP: Flag = {
  name: 'help',
  char: undefined,
  description: 'show help',
  value: null,
  optional: false,
  multiple: false,
  exclusive: [],
}
