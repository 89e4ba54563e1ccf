import { string } from '@oclif/core/args'
import { boolean, integer } from '@oclif/core/flags'
import { QusbCommand } from '../cli/command.ts'
import { viaFlag } from '../cli/flags.ts'
import { askForDevice, askForFrontend } from '../cli/questions.ts'
import { attach } from '../lib/passthrough/attach.ts'
import { readWords } from '../lib/passthrough/words.ts'
import { renderAttach } from '../lib/view/attachment.ts'

export default class Attach extends QusbCommand {
  static override summary = 'Attach a USB device of a backend to a frontend qube.'
  static override description =
    'Grants the frontend this one port for the time of the call, lets its USB proxy attach the device, takes the grant away, and looks whether the device that was chosen is where it should be. On a failure or Ctrl-C everything is undone. Attaching to where it already is does nothing and is a success.'
  static override examples = [
    {
      description: 'The device at port 2-1 of sys-usb into work',
      command: '<%= config.bin %> attach sys-usb 2-1 work',
    },
    {
      description: 'By what it is, with its serial',
      command: '<%= config.bin %> attach sys-usb 1050:0407@0012345678 vault',
    },
    {
      description: 'In one word, as qvm-usb writes it',
      command: '<%= config.bin %> attach sys-usb:2-1 work',
    },
    {
      description: 'What would be done',
      command: '<%= config.bin %> attach sys-usb 2-1 work --dry-run',
    },
  ]
  static override args = {
    backend: string({ description: 'USB qube that has the device; or BACKEND:PORT in one word' }),
    device: string({ description: 'port, VENDOR:PRODUCT[@SERIAL], 0xVVVV.0xPPPP or BUS.DEVICE' }),
    frontend: string({ description: 'qube that gets the device' }),
  }
  static override flags = {
    'dry-run': boolean({ description: 'say what would be done, and do nothing' }),
    force: boolean({ description: 'past a guard: hidden, typed on by dom0, or in use in the backend' }),
    start: boolean({ description: 'start the frontend where it is halted' }),
    via: viaFlag,
    timeout: integer({ description: 'seconds that the attach may take', min: 1, max: 600 }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Attach)
    const context = this.context()
    const words = readWords([args.backend, args.device, args.frontend].filter((word) => word !== undefined))
    const mayAsk = this.mayAsk(flags)
    const device = await askForDevice(context, words, mayAsk)
    const frontend = await askForFrontend(context, { ...words, backend: device.backend }, mayAsk)
    const result = await attach(context, {
      ...device,
      frontend,
      force: flags.force,
      dryRun: flags['dry-run'],
      start: flags.start,
      via: flags.via === 'admin' ? 'admin' : 'qrexec',
      timeoutMs: (flags.timeout ?? context.config.timeout) * 1000,
    })
    this.report({ result }, flags, (shown) => renderAttach(shown, this.terminal()))
  }
}
