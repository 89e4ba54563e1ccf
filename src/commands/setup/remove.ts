import { string } from '@oclif/core/args'
import { boolean, string as stringFlag } from '@oclif/core/flags'
import { QusbCommand } from '../../cli/command.ts'
import { readQube } from '../../lib/passthrough/words.ts'
import { removeSetup } from '../../lib/setup/remove.ts'
import { findOwner, requireOwner } from '../../lib/site/setup.ts'
import { renderSetup } from '../../lib/view/setup.ts'

export default class SetupRemove extends QusbCommand {
  static override summary = 'Take out what setup has installed.'
  static override description =
    `Of the USB qubes that are named; without a name of all of them, and in dom0 the unit, the service and its policy too.
What was changed since is left where it is, and named. State, rules and configuration stay. Needs root.`
  static override examples = [
    { description: 'From one USB qube', command: 'sudo <%= config.bin %> setup remove sys-usb' },
    { description: 'All of it', command: 'sudo <%= config.bin %> setup remove' },
  ]
  static override args = {
    backend: string({ description: 'USB qubes; by default everything that was set up', multiple: true }),
  }
  static override flags = {
    group: stringFlag({ description: 'whose members may use qusb', default: 'qubes', helpValue: 'NAME' }),
    'dry-run': boolean({ description: 'say what would be done, and do nothing' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(SetupRemove)
    const backends = (args.backend ?? []).map((name) => readQube(name, 'backend'))
    const context = this.context({ undoes: false })
    const uid = process.getuid?.()
    const owner = findOwner(context.site, { group: flags.group, groupFile: '/etc/group', uid })
    if (!flags['dry-run']) requireOwner(owner, uid, 'sudo qusb setup remove')
    const result = await removeSetup(context, { backends, dryRun: flags['dry-run'], owner })
    this.report({ result }, flags, (shown) => renderSetup(shown, this.terminal()))
  }
}
