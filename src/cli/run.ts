import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PJSON, Plugin } from '@oclif/core/interfaces'
import { settings } from '@oclif/core/settings'
import type { DeferredCommand } from './deferred-command.ts'
import { tellFailure } from './failure.ts'

/**
 * Runs the program and sets the exit code.
 * @param args what the user typed after the program's name
 * @param root the directory of package.json and oclif.manifest.json
 * @param bundle the file, below the root, that exports the COMMANDS to choose from
 * @param commands those of them that need no search
 */
export async function runProgram(
  args: string[],
  root: string,
  bundle: string,
  commands: Readonly<Record<string, DeferredCommand>> = {},
): Promise<void> {
  // With NODE_ENV=development or test, oclif would look for sources of the bundle, and for typescript to compile them.
  settings.enableAutoTranspile = false
  try {
    const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    pjson.oclif.commands.target = bundle
    // oclif runs code that the user's data directory names, wherever the environment says that this is.
    const options = { root, isRoot: true, pjson, userPlugins: false, devPlugins: false }
    const named = asks(args, '--help') ? undefined : findNamed(args, commands)
    if (named === undefined) {
      const { run } = await import('@oclif/core/run')
      await run(args, options)
    } else {
      const command = await named.command.load()
      command.id = named.id
      await command.run(named.rest, { ...options, plugins: new Map([[pjson.name, searchless(root, pjson)]]) })
    }
  } catch (error) {
    const told = isUnknownCommand(error) ? await explainUnknownCommand(error, args, root) : error
    process.exitCode = tellFailure(told, { json: asks(args, '--json'), debug: asks(args, '--debug') })
  }
}

/** The command that the first word, or the first two, name outright. */
function findNamed(args: string[], commands: Readonly<Record<string, DeferredCommand>>) {
  for (const words of [1, 2]) {
    const id = args.slice(0, words).join(':')
    const command = Object.hasOwn(commands, id) ? commands[id] : undefined
    if (command !== undefined) return { id, command, rest: args.slice(words) }
  }
  return undefined
}

/**
 * The program as oclif's plugin without commands, for one that is found already: to read the manifest of all, which help
 * needs, takes a twentieth of a listing.
 */
function searchless(root: string, pjson: PJSON): Plugin {
  const { name, version } = pjson
  return {
    _base: '',
    alias: name,
    commandIDs: [],
    commands: [],
    commandsDir: undefined,
    findCommand: () => undefined as never,
    hasManifest: true,
    hooks: {},
    isRoot: true,
    load: async () => {},
    moduleType: 'commonjs',
    name,
    options: { root },
    pjson,
    root,
    topics: [],
    type: 'core',
    valid: true,
    version,
  }
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
