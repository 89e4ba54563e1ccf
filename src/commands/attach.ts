import { string } from '@oclif/core/args'
import { boolean } from '@oclif/core/flags'
import { QusbCommand } from '../cli/command.ts'
import { allowBareWait, attachFlags, BACKEND_FORMS, DEVICE_FORMS, readAttachFlags } from '../cli/flags.ts'

export default class Attach extends QusbCommand {
  static override summary = 'Attach a USB device of a backend to a frontend qube.'
  static override description =
    'Grants the frontend this one port for the time of the call, lets its USB proxy attach the device, takes the grant away, and looks whether the device that was chosen is where it should be. On a failure or Ctrl-C everything is undone. Attaching to where it already is does nothing and is a success; what another qube has is left there, except with --replace.'
  static override examples = [
    {
      description: 'The device at port 2-1 of sys-usb into work',
      command: '<%= config.bin %> attach sys-usb 2-1 work',
    },
    {
      description: 'By what it is, with its serial',
      command: '<%= config.bin %> attach sys-usb 1050:0407@0012345 vault',
    },
    {
      description: 'In one word, as qvm-usb writes it',
      command: '<%= config.bin %> attach sys-usb:2-1 work',
    },
    {
      description: 'By an alias, as soon as it is plugged in',
      command: '<%= config.bin %> attach red-key vault --wait',
    },
    {
      description: 'What would be done',
      command: '<%= config.bin %> attach sys-usb 2-1 work --dry-run',
    },
  ]
  static override args = {
    backend: string({ description: BACKEND_FORMS }),
    device: string({ description: DEVICE_FORMS }),
    frontend: string({ description: 'qube that gets the device' }),
  }
  static override flags = {
    'dry-run': boolean({ description: 'say what would be done, and do nothing' }),
    replace: boolean({ description: 'take it from the qube that has it, as "qusb move" does' }),
    ...attachFlags,
  }

  async run(): Promise<void> {
    this.argv = allowBareWait(this.argv)
    const { args, flags } = await this.parse(Attach)
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
    const request = { ...what, ...options, replace: flags.replace, dryRun: flags['dry-run'] }
    const result = await attachPatiently(context, request, patience)
    this.report({ result }, flags, (shown) => renderAttach(shown, this.terminal()))
  }
}
