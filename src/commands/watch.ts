import { string } from '@oclif/core/args'
import { integer } from '@oclif/core/flags'
import { QusbCommand } from '../cli/command.ts'
import { exitCodeOf } from '../lib/errors.ts'
import type { Warning } from '../lib/passthrough/results.ts'
import { watch } from '../lib/passthrough/watch.ts'
import { readQube } from '../lib/passthrough/words.ts'
import { describeTerminal } from '../lib/view/terminal.ts'
import { renderWarnings } from '../lib/view/warnings.ts'
import { renderEvent } from '../lib/view/watch.ts'

export default class Watch extends QusbCommand {
  static override summary = 'Tell of devices, attachments and qubes as they change.'
  static override description =
    'Tells until it is interrupted. With qubesd, its events say when to look; without, each backend is asked every few seconds, which costs about half a percent of one core. What is told is what the backends say. With --json, each event is a document on its line.'
  static override examples = [
    { description: 'What happens', command: '<%= config.bin %> watch' },
    {
      description: 'For a script, the devices of one USB qube',
      command: '<%= config.bin %> watch sys-usb --json',
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
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Watch)
    const context = this.context({ undoes: false })
    const request = {
      backends: (args.backend ?? []).map((name) => readQube(name, 'backend')),
      everyMs: flags.every * 1000,
    }
    const terminal = this.terminal()
    const screen = describeTerminal(process.stderr, process.env)
    // Who reads no more has seen enough.
    process.stdout.on('error', () => process.exit(0))
    const warn = (warning: Warning): void => void process.stderr.write(renderWarnings([warning], screen))
    for await (const event of watch(context, request, warn)) {
      this.print(event, flags.json, (shown) => renderEvent(shown, terminal))
    }
    process.exitCode = exitCodeOf(context.signal.reason)
  }
}
