import { string } from '@oclif/core/args'
import { boolean, string as stringFlag } from '@oclif/core/flags'
import { QusbCommand } from '../cli/command.ts'
import { BACKEND_FORMS, DEVICE_FORMS, viaFlag } from '../cli/flags.ts'
import { QusbError } from '../lib/errors.ts'
import type { Context } from '../lib/passthrough/context.ts'
import type { What } from '../lib/passthrough/detach.ts'
import { readQube } from '../lib/passthrough/words.ts'

export default class Detach extends QusbCommand {
  static override summary = 'Detach USB devices, leaving both sides clean.'
  static override description =
    'Works also when the frontend is hung, halted or gone. The backend gets the device back on its normal driver. Detaching what is not attached does nothing and is a success. Without a word, on a terminal, it lets you choose among what is attached.'
  static override examples = [
    { description: 'Choose among what is attached', command: '<%= config.bin %> detach' },
    { description: 'The device at port 2-1 of sys-usb', command: '<%= config.bin %> detach sys-usb 2-1' },
    { description: 'Only if work has it', command: '<%= config.bin %> detach sys-usb 2-1 work' },
    { description: 'All that work has', command: '<%= config.bin %> detach --from work' },
  ]
  static override args = {
    backend: string({ description: BACKEND_FORMS }),
    device: string({ description: DEVICE_FORMS }),
    frontend: string({ description: 'qube that must be the one that has it' }),
  }
  static override flags = {
    all: boolean({ description: 'all that is attached', exclusive: ['from'] }),
    from: stringFlag({ description: 'all that this qube has', helpValue: 'FRONTEND' }),
    via: viaFlag,
    'dry-run': boolean({ description: 'say what would be done, and do nothing' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Detach)
    const context = this.context()
    const words = [args.backend, args.device, args.frontend].filter((word) => word !== undefined)
    if (words.length > 0 && (flags.all || flags.from !== undefined)) {
      throw new QusbError(
        'USAGE',
        `"${words.join(' ')}" and ${flags.all ? '--all' : '--from'} say two different things`,
        {
          hint: 'Name one device, or all that a qube has (--from FRONTEND), or all that is attached (--all).',
        },
      )
    }
    await context.directory.askEarly()
    // Loaded while qubesd answers.
    const [{ detach }, { renderDetach }] = await Promise.all([
      import('../lib/passthrough/detach.ts'),
      import('../lib/view/attachment.ts'),
    ])
    const request = await this.readRequest(context, words, flags)
    const outcome = await detach(context, {
      ...request,
      dryRun: flags['dry-run'],
      via: flags.via === 'admin' ? 'admin' : 'qrexec',
    })
    this.report(outcome, flags, (result) => renderDetach(result, this.terminal()))
  }

  private async readRequest(
    context: Context,
    words: string[],
    flags: { all: boolean; from?: string | undefined; json?: boolean; 'no-input'?: boolean },
  ): Promise<What> {
    if (flags.all) return { what: 'all' }
    if (flags.from !== undefined) return { what: 'frontend', frontend: readQube(flags.from, 'frontend') }
    const { askForAttachments, askForDevice } = await import('../cli/questions.ts')
    if (words.length === 0) {
      return { what: 'chosen', attachments: await askForAttachments(context, this.mayAsk(flags)) }
    }
    const { readWords } = await import('../lib/passthrough/read-words.ts')
    const read = await readWords(context, words)
    const device = await askForDevice(context, read, this.mayAsk(flags))
    return { what: 'device', ...device, frontend: read.frontend }
  }
}
