import { string } from '@oclif/core/args'
import { boolean, string as stringFlag } from '@oclif/core/flags'
import { QusbCommand } from '../../cli/command.ts'
import { readQube } from '../../lib/passthrough/words.ts'
import { setUpBackend } from '../../lib/setup/setup-backend.ts'
import { findOwner, requireOwner } from '../../lib/site/setup.ts'
import { renderSetup } from '../../lib/view/setup.ts'

export default class SetupBackend extends QusbCommand {
  static override summary = 'Let a USB qube tell at once when a device comes or goes.'
  static override description =
    `Installs a udev rule and a unit in the USB qube that call the service qusb.Plugged of dom0, and lets that qube call it.
The call says "look at me" and nothing else: dom0 looks for itself, and decides by its own rules. Without it qusb watch
finds out by qubesd's events or by looking from time to time.

It lasts: in an AppVM in its own /rw; for a disposable in its disposable template; with --in, or in a standalone, in the
system, where only this USB qube has the service qusb switched on. A template that is halted is started and shut down
again. What is in place is left alone: twice is once. Needs root.`
  static override examples = [
    {
      description: 'Every file that it would install',
      command: '<%= config.bin %> setup backend sys-usb --dry-run',
    },
    { description: 'Install it', command: 'sudo <%= config.bin %> setup backend sys-usb' },
    {
      description: 'In the template of sys-usb',
      command: 'sudo <%= config.bin %> setup backend sys-usb --in fedora-42-minimal',
    },
  ]
  static override args = { backend: string({ description: 'the USB qube', required: true }) }
  static override flags = {
    in: stringFlag({ description: 'the template that is to keep it', helpValue: 'TEMPLATE' }),
    group: stringFlag({ description: 'whose members may use qusb', default: 'qubes', helpValue: 'NAME' }),
    'dry-run': boolean({ description: 'show every file and what would be done, and do nothing' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(SetupBackend)
    const backend = readQube(args.backend, 'backend')
    const keeper = flags.in === undefined ? undefined : readQube(flags.in, 'qube')
    const context = this.context({ undoes: false })
    const uid = process.getuid?.()
    const owner = findOwner(context.site, { group: flags.group, groupFile: '/etc/group', uid })
    if (!flags['dry-run']) requireOwner(owner, uid, `sudo qusb setup backend ${backend}`)
    const result = await setUpBackend(context, { backend, keeper, dryRun: flags['dry-run'], owner })
    this.report({ result }, flags, (shown) => renderSetup(shown, this.terminal()))
  }
}
