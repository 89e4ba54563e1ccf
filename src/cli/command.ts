import { fstatSync } from 'node:fs'
import { isatty } from 'node:tty'
import { Command } from '@oclif/core/command'
import type { Config } from '@oclif/core/config'
import { boolean } from '@oclif/core/flags'
import type { QusbError } from '../lib/errors.ts'
import type { SignalDiversion } from '../lib/host/run-command.ts'
import { cleanText } from '../lib/model/text.ts'
import type { Context } from '../lib/passthrough/context.ts'
import { openContext } from '../lib/passthrough/open-context.ts'
import type { Warning } from '../lib/passthrough/results.ts'
import type { Config as Settings } from '../lib/site/config.ts'
import type { Site } from '../lib/site/site.ts'
import { startProgress } from '../lib/view/progress.ts'
import { describeTerminal, type Terminal } from '../lib/view/terminal.ts'
import { renderWarnings } from '../lib/view/warnings.ts'
import { tellFailure } from './failure.ts'
import { abortOnSignals } from './signals.ts'

/** A class of a command that is no longer abstract. */
export type CommandClass = typeof QusbCommand & Concrete

type Concrete = new (argv: string[], config: Config) => QusbCommand

/** What every command has: `--json`, `--no-input`, `--debug`, and one result that is printed one way or the other. */
export abstract class QusbCommand extends Command {
  static override baseFlags = {
    json: boolean({ description: 'print one JSON document on stdout, nothing else', helpGroup: 'GLOBAL' }),
    'no-input': boolean({ description: 'never ask; what is missing is an error', helpGroup: 'GLOBAL' }),
    debug: boolean({ description: 'print the stack of an error', helpGroup: 'GLOBAL' }),
  }

  /**
   * Runs the command. oclif's own `run` would load its configuration first: plugins, directories and shells, of which no
   * command of ours uses anything, in milliseconds of every start.
   * @param root the directory of package.json
   * @returns whether the program may end at once: nothing that was said is still on its way
   */
  static async start(this: Concrete, argv: string[], root: string): Promise<boolean> {
    const config: Pick<Config, 'bin' | 'root' | 'runHook' | 'scopedEnvVarKeys'> = {
      bin: 'qusb',
      root,
      runHook: async () => ({ successes: [], failures: [] }),
      scopedEnvVarKeys: () => [],
    }
    const command = new this(argv, config as Config)
    await command._run()
    // A pipe may not have taken all, and what could not be written is still to be told.
    const { writableLength, errored } = process.stdout
    return command.isOver && writableLength === 0 && errored === null
  }

  /** Whether all has been told, and nothing on stderr. */
  protected isOver = false

  /** Tells what is being done; the empty text clears the line, so that others may write. */
  private progress: (what: string) => void = () => {}

  /** Errors are told in one place, src/cli/failure.ts. */
  override async catch(error: Error): Promise<never> {
    this.progress('')
    throw error
  }

  /** Whether a question may be put: never in a pipe, with --json or with --no-input. */
  protected mayAsk(flags: { json?: boolean; 'no-input'?: boolean }): boolean {
    // By the descriptor: to make process.stdin takes 3 ms.
    return flags.json !== true && flags['no-input'] !== true && isatty(0) && process.stdout.isTTY === true
  }

  /**
   * The site, the configuration and the signals of this run.
   * @param options.undoes whether something has been begun that would have to be undone
   * @param options.diversion where signals go instead, for as long as it leads anywhere
   * @param options.readConfig how the configuration is read, where a fault in it is no end
   */
  protected context(
    options: {
      undoes: boolean | (() => boolean)
      diversion?: SignalDiversion
      readConfig?: (site: Site) => Settings
    } = { undoes: true },
  ): Context {
    const siteFile = process.env.QUSB_SITE
    // What can be no terminal, and is told nothing, need not be made: that takes a millisecond.
    const onTerminal = fstatSync(2).isCharacterDevice() && process.stderr.isTTY === true
    const progress = onTerminal ? startProgress(process.stderr) : () => {}
    const run = { signal: abortOnSignals(() => this.progress(''), options), progress }
    const context = openContext(siteFile, run, options.readConfig)
    if (siteFile !== undefined && siteFile !== '' && onTerminal) {
      process.stderr.write(`qusb: using the site ${cleanText(siteFile, 200).text} (QUSB_SITE)\n`)
    }
    this.progress = progress
    return context
  }

  /** What stdout can show. */
  protected terminal(): Terminal {
    return describeTerminal(process.stdout, process.env)
  }

  /** Prints a result on stdout: as JSON, or as it is drawn. */
  protected print<T>(result: T, json: boolean, draw: (result: T) => string): void {
    this.progress('')
    process.stdout.write(json ? `${JSON.stringify(result)}\n` : draw(result))
  }

  /**
   * Ends the command: the result on stdout, as JSON or as it is drawn; warnings on stderr; the exit code of the failure.
   * @param outcome.failure of a part of the work; with --json it is in the result already
   */
  protected report<T>(
    outcome: { result: T & { warnings?: Warning[] }; failure?: QusbError | undefined },
    flags: { json: boolean; debug: boolean },
    draw: (result: T) => string,
  ): void {
    const { result, failure } = outcome
    this.print(result, flags.json, draw)
    // What is told as the failure need not be told before as a warning.
    const warnings = (result.warnings ?? []).filter(
      (warning) => flags.json || warning.message !== failure?.message,
    )
    this.isOver = warnings.length === 0 && failure === undefined
    if (warnings.length > 0) {
      const screen = describeTerminal(process.stderr, process.env)
      process.stderr.write(renderWarnings(warnings, screen))
    }
    if (failure === undefined) return
    if (flags.json) process.exitCode = failure.exitCode
    else process.exitCode = tellFailure(failure, flags)
  }
}
