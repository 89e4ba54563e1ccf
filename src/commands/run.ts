import { string } from '@oclif/core/args'
import { boolean } from '@oclif/core/flags'
import { QusbCommand } from '../cli/command.ts'
import { allowBareWait, attachFlags, BACKEND_FORMS, DEVICE_FORMS, readAttachFlags } from '../cli/flags.ts'
import { askForAttach } from '../cli/questions.ts'
import { QusbError } from '../lib/errors.ts'
import type { SignalDiversion } from '../lib/host/run-command.ts'
import { run } from '../lib/passthrough/run.ts'

export default class Run extends QusbCommand {
  static override summary = 'Attach a USB device while a command of yours runs, and detach it after.'
  static override description =
    'The command runs in dom0, as you, with your terminal. The device is detached when it has ended, however it did: Ctrl-C goes to the command, SIGTERM is passed on to it. The exit code is that of the command, or of the failure when the device could not be attached or detached. A device that the qube had before stays with it. With --json, what the command prints goes to standard error.'
  static override examples = [
    {
      description: 'A backup onto a stick',
      command: "<%= config.bin %> run backup-stick vault -- qvm-run -p vault 'backup.sh /dev/sda'",
    },
    {
      description: 'Until Enter is pressed',
      command: "<%= config.bin %> run sys-usb 2-1 work -- sh -c 'read line'",
    },
  ]
  static override args = {
    backend: string({ description: BACKEND_FORMS }),
    device: string({ description: DEVICE_FORMS }),
    frontend: string({ description: 'qube that has the device meanwhile' }),
    command: string({ description: 'after --: the program to run, and its arguments' }),
  }
  static override flags = {
    replace: boolean({ description: 'take it from the qube that has it; that does not get it back' }),
    ...attachFlags,
  }

  async run(): Promise<void> {
    const end = this.argv.indexOf('--')
    const [program, ...rest] = end < 0 ? [] : this.argv.slice(end + 1)
    this.argv = allowBareWait(end < 0 ? this.argv : this.argv.slice(0, end))
    const { args, flags } = await this.parse(Run)
    if (program === undefined || args.command !== undefined) {
      throw new QusbError('USAGE', 'say what to run, after "--"', {
        hint: 'For example: qusb run sys-usb 2-1 work -- sh -c "read line"',
      })
    }
    const signals: SignalDiversion = { to: undefined }
    const context = this.context({ undoes: true, diversion: signals })
    const what = await askForAttach(context, args, this.mayAsk(flags))
    const { patience, ...options } = readAttachFlags(flags, context.config.timeout)
    const request = {
      ...what,
      ...options,
      replace: flags.replace,
      dryRun: false,
      command: [program, ...rest] as const,
      searchPath: process.env.PATH,
      stdoutToStderr: flags.json,
    }
    const outcome = await run(context, request, patience, signals)
    process.exitCode = outcome.result.command.exitCode
    this.report(outcome, flags, () => '')
  }
}
