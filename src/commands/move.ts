import { string } from '@oclif/core/args'
import { boolean } from '@oclif/core/flags'
import { QusbCommand } from '../cli/command.ts'
import { allowBareWait, attachFlags, BACKEND_FORMS, DEVICE_FORMS, readAttachFlags } from '../cli/flags.ts'

export default class Move extends QusbCommand {
  static override summary = 'Move a USB device from the qube that has it to another.'
  static override description =
    'Looks first whether the other qube can take it; then detaches it, waits until the backend has let go of it, and attaches it. When that fails, or on Ctrl-C, it is put back where it was. A device that nobody has is attached.'
  static override examples = [
    { description: 'The device at port 2-1 of sys-usb', command: '<%= config.bin %> move sys-usb 2-1 vault' },
    { description: 'By its alias', command: '<%= config.bin %> move red-key work' },
  ]
  static override args = {
    backend: string({ description: BACKEND_FORMS }),
    device: string({ description: DEVICE_FORMS }),
    frontend: string({ description: 'qube that gets the device' }),
  }
  static override flags = {
    'dry-run': boolean({ description: 'say what would be done, and do nothing' }),
    ...attachFlags,
  }

  async run(): Promise<void> {
    this.argv = allowBareWait(this.argv)
    const { args, flags } = await this.parse(Move)
    const context = this.context()
    await context.directory.askEarly()
    // Loaded while qubesd answers.
    const [{ askForAttach }, { attachPatiently }, { renderAttach }] = await Promise.all([
      import('../cli/questions.ts'),
      import('../lib/passthrough/attach-patiently.ts'),
      import('../lib/view/attachment.ts'),
    ])
    const what = await askForAttach(context, args, this.mayAsk(flags))
    const { patience, ...options } = readAttachFlags(flags, context.config.timeout)
    const request = { ...what, ...options, replace: true, dryRun: flags['dry-run'] }
    const result = await attachPatiently(context, request, patience)
    this.report({ result }, flags, (shown) => renderAttach(shown, this.terminal()))
  }
}
