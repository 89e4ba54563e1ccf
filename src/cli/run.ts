import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '@oclif/core/run'
import { settings } from '@oclif/core/settings'
import { tellFailure } from './failure.ts'

/**
 * Runs the program and sets the exit code.
 * @param args what the user typed after the program's name
 * @param root the directory of package.json and oclif.manifest.json
 * @param bundle the file, below the root, that exports the COMMANDS to choose from
 */
export async function runProgram(args: string[], root: string, bundle: string): Promise<void> {
  // With NODE_ENV=development or test, oclif would look for sources of the bundle, and for typescript to compile them.
  settings.enableAutoTranspile = false
  try {
    const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    pjson.oclif.commands.target = bundle
    // oclif runs code that the user's data directory names, wherever the environment says that this is.
    await run(args, { root, isRoot: true, pjson, userPlugins: false, devPlugins: false })
  } catch (error) {
    const told = isUnknownCommand(error) ? await explainUnknownCommand(error, args, root) : error
    process.exitCode = tellFailure(told, { json: asks(args, '--json'), debug: asks(args, '--debug') })
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
