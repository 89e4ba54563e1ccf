import { boolean, string } from '@oclif/core/flags'
import { QusbCommand } from '../../cli/command.ts'
import { setUpDom0 } from '../../lib/site/setup.ts'
import { loadSite } from '../../lib/site/site.ts'
import { renderSetup } from '../../lib/view/setup.ts'

export default class SetupDom0 extends QusbCommand {
  static override summary = 'Make in this dom0 the directories of qusb, and what attaching by rule needs.'
  static override description =
    `Makes the directories for state, configuration, rules and runtime with their group and mode, a tmpfiles.d
file that makes the last at every boot, the unit of the watcher, and the service by which USB qubes give hints, with its policy. What is in place is left alone: twice is once. Needs root.`
  static override examples = [
    'sudo <%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --dry-run',
  ]
  static override flags = {
    group: string({ description: 'whose members may use qusb', default: 'qubes', helpValue: 'NAME' }),
    'dry-run': boolean({ description: 'say what would be done, and do nothing' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(SetupDom0)
    const result = setUpDom0(loadSite(process.env.QUSB_SITE), {
      group: flags.group,
      groupFile: '/etc/group',
      dryRun: flags['dry-run'],
      uid: process.getuid?.(),
    })
    this.report({ result }, flags, (result) => renderSetup(result, this.terminal()))
  }
}
