import { string } from '@oclif/core/flags'
import { QusbCommand } from '../../cli/command.ts'
import { exportRules } from '../../lib/rules/export.ts'
import { renderExport } from '../../lib/view/rules.ts'

export default class RuleExport extends QusbCommand {
  static override summary = 'Print the commands that give qubesd assignments which do what the rules do.'
  static override description =
    'As far as they can: an assignment is about one device or one port, and says its interfaces, so that it must be plugged in. What is left out stands as a comment. Nothing is run. The commands are those of Qubes 4.3.'
  static override examples = ['<%= config.bin %> <%= command.id %> --to qubes']
  static override flags = {
    to: string({ description: 'whose commands', options: ['qubes'], default: 'qubes' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(RuleExport)
    this.report({ result: await exportRules(this.context()) }, flags, (result) =>
      renderExport(result, this.terminal()),
    )
  }
}
