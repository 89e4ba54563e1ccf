import { string } from '@oclif/core/args'
import { boolean, custom, integer, string as stringFlag } from '@oclif/core/flags'
import { QusbCommand } from '../cli/command.ts'
import { exitCodeOf, QusbError } from '../lib/errors.ts'
import type { Context } from '../lib/passthrough/context.ts'
import type { Warning, WatchEvent } from '../lib/passthrough/results.ts'
import { type WatchRequest, watch } from '../lib/passthrough/watch.ts'
import { readQube } from '../lib/passthrough/words.ts'
import { describeTerminal } from '../lib/view/terminal.ts'
import { renderWarnings } from '../lib/view/warnings.ts'
import { renderEvent } from '../lib/view/watch.ts'

/** `15s`, `15`; in ms. @throws QusbError USAGE */
const seconds = custom<number>({
  parse: async (text) => {
    const number = Number(/^([1-9][0-9]{0,3})s?$/.exec(text)?.[1] ?? Number.NaN)
    if (number <= 3600) return number * 1000
    throw new QusbError('USAGE', `"${text}" is no time`, {
      hint: 'Write seconds from 1 to 3600, such as 15s.',
    })
  },
})

export default class Watch extends QusbCommand {
  static override summary = 'Tell of devices, attachments and qubes as they change, and attach by rule.'
  static override description =
    `Tells until it is interrupted. With qubesd, its events say when to look; without, each backend is asked every few
seconds, which costs about half a percent of one core. What is told is what the backends say. With --json, each event is
a document on its line.

With --auto the rules are applied to what is there and to what comes: at once where the USB qube gives a hint (qusb setup
backend) or qubesd an event. What is detached by hand is left alone until it is plugged in again. Rules are read anew
when their files change; while one is broken, nothing is attached by rule. One such watcher at a time.`
  static override examples = [
    { description: 'What happens', command: '<%= config.bin %> watch' },
    {
      description: 'For a script, the devices of one USB qube',
      command: '<%= config.bin %> watch sys-usb --json',
    },
    {
      description: 'Attach by rule, and ask here where a rule says ask',
      command: '<%= config.bin %> watch --auto',
    },
    {
      description: 'Take a keyboard back unless somebody confirms it',
      command: '<%= config.bin %> watch --auto --confirm-input=15s',
    },
    {
      description: 'Run a program for each event, told in QUSB_EVENT, QUSB_BACKEND, QUSB_PORT and so on',
      command: '<%= config.bin %> watch --exec ~/bin/on-usb',
    },
  ]
  static override args = {
    backend: string({
      description: 'USB qubes to watch; by default the configured, usual and known ones',
      multiple: true,
    }),
  }
  static override flags = {
    every: integer({
      description: 'seconds between looks where there is no qubesd',
      default: 5,
      min: 1,
      max: 3600,
      helpValue: 'SECONDS',
    }),
    auto: boolean({ description: 'attach by the rules' }),
    exec: stringFlag({
      description: 'a program to run for each event, without a shell; the event is in its environment',
      helpValue: 'PROGRAM',
    }),
    'confirm-input': seconds({
      description: 'with --auto: give a keyboard or mouse back unless it is confirmed in this time',
      helpValue: 'SECONDS',
      dependsOn: ['auto'],
    }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Watch)
    let isBusy = (): boolean => false
    const context = this.context({ undoes: () => isBusy() })
    const request = {
      backends: (args.backend ?? []).map((name) => readQube(name, 'backend')),
      everyMs: flags.every * 1000,
    }
    const terminal = this.terminal()
    const screen = describeTerminal(process.stderr, process.env)
    // Who reads no more has seen enough; who attaches by rule goes on.
    process.stdout.on('error', () => flags.auto || process.exit(0))
    const warn = (warning: Warning): void => void process.stderr.write(renderWarnings([warning], screen))
    const program = await commandFor(flags.exec, warn)
    const tell = (event: WatchEvent): void => {
      this.print(event, flags.json, (shown) => renderEvent(shown, terminal))
      program?.take(event)
    }
    if (flags.auto) {
      const watching = await this.watchByRules(context, request, { warn, tell }, flags)
      isBusy = watching.isBusy
      await watching.run()
    } else {
      for await (const event of watch(context, request, warn)) tell(event)
    }
    await program?.end()
    process.exitCode = exitCodeOf(context.signal.reason)
  }

  private async watchByRules(
    context: Context,
    request: WatchRequest,
    telling: { warn(warning: Warning): void; tell(event: WatchEvent): void },
    flags: { json: boolean; 'no-input': boolean; 'confirm-input'?: number | undefined },
  ) {
    const [{ watchByRules }, { askOnDesktop, notifyDesktop }, { confirm }] = await Promise.all([
      import('../lib/auto/watch-auto.ts'),
      import('../lib/host/desktop.ts'),
      import('../lib/view/questions.ts'),
    ])
    const { site, user, config } = context
    const onTerminal = this.mayAsk(flags)
    return watchByRules(context, request, telling, {
      ask: async (question, signal) =>
        onTerminal ? await confirm(question, signal) : await askOnDesktop(site, user, question, signal),
      notify: async (title, text) => await notifyDesktop(site, user, title, text),
      askMs: 60_000,
      // One that hangs keeps the others of its frontend waiting.
      attachMs: Math.min(config.timeout, 20) * 1000,
      confirmInputMs: flags['confirm-input'] ?? null,
    })
  }
}

/** The user's program, where there is one. */
async function commandFor(program: string | undefined, warn: (warning: Warning) => void) {
  if (program === undefined) return undefined
  const { runForEvents } = await import('../lib/host/event-command.ts')
  return runForEvents(program, (message) => warn({ qube: null, code: 'EXEC', message, hint: null }))
}
