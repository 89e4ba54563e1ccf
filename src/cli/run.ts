import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { settings } from '@oclif/core/settings'
import type { CommandClass } from './command.ts'
import { tellFailure } from './failure.ts'

/** The commands by id (`rule:add`), each loaded when it is called: what a run does not need costs it nothing. */
export type Commands = Readonly<Record<string, () => Promise<{ default: CommandClass }>>>

/**
 * Runs the program and sets the exit code.
 * @param args what the user typed after the program's name
 * @param root the directory of package.json and oclif.manifest.json
 * @param commands what may be run; what else they can be told about is in the manifest
 * @returns whether the program may end at once
 */
export async function runProgram(args: string[], root: string, commands: Commands): Promise<boolean> {
  // With NODE_ENV=development or test, oclif would look for sources of the bundle, and for typescript to compile them.
  settings.enableAutoTranspile = false
  try {
    const named = asks(args, '--help') ? undefined : findNamed(args, commands)
    if (named === undefined) {
      // Help, topics, the version, or no command at all: oclif runs none of ours.
      const { run } = await import('@oclif/core/run')
      const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
      // oclif runs code that the user's data directory names, wherever the environment says that this is.
      await run(args, { root, isRoot: true, pjson, userPlugins: false, devPlugins: false })
    } else {
      const { default: command } = await named.load()
      command.id = named.id
      return await command.start(named.rest, root)
    }
  } catch (error) {
    const told = isUnknownCommand(error) ? await explainUnknownCommand(error, args, root) : error
    process.exitCode = tellFailure(told, { json: asks(args, '--json'), debug: asks(args, '--debug') })
  }
  return false
}

/** The command that the first word, or the first two, name outright. */
function findNamed(args: string[], commands: Commands) {
  for (const words of [1, 2]) {
    const id = args.slice(0, words).join(':')
    const load = Object.hasOwn(commands, id) ? commands[id] : undefined
    if (load !== undefined) return { id, load, rest: args.slice(words) }
  }
  return undefined
}

/** oclif's error for words that begin with no command. */
function isUnknownCommand(error: unknown): boolean {
  return error instanceof Error && 'oclif' in error && /^command .* not found$/.test(error.message)
}

async function explainUnknownCommand(error: unknown, args: string[], root: string): Promise<Error> {
  const [{ unknownCommand }, { readVocabulary }] = await Promise.all([
    import('./unknown-command.ts'),
    import('../lib/completion/vocabulary.ts'),
  ])
  const commands = readVocabulary(root).commands.map(({ words }) => words)
  return unknownCommand(args, commands, error)
}

/** Whether a flag was given, looked up in the words themselves: parsing may be what failed. */
function asks(args: string[], flag: string): boolean {
  const end = args.indexOf('--')
  return (end < 0 ? args : args.slice(0, end)).includes(flag)
}
