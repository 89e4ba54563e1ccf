import { string } from '@oclif/core/flags'
import { QusbCommand } from '../../cli/command.ts'
import { openLab, type RunningLab } from '../client.ts'

/** What every lab command has: `--name`, and a result that is printed as words or as a JSON document. */
export abstract class LabCommand extends QusbCommand {
  static override baseFlags = {
    ...QusbCommand.baseFlags,
    name: string({ description: 'the lab, when there are several', default: 'lab', helpGroup: 'GLOBAL' }),
  }

  /** The lab that the flags name, which must run. */
  protected open(flags: { name: string }): Promise<RunningLab> {
    return openLab(flags.name, process.env)
  }

  /** Prints a result: with --json the document, else the words. */
  protected say(flags: { json?: boolean }, result: object, words: string): void {
    process.stdout.write(
      flags.json === true
        ? `${JSON.stringify({ schema: 1, ...result })}
`
        : words,
    )
  }
}
