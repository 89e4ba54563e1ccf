import { QusbCommand } from '../../cli/command.ts'
import { suggestRules } from '../../lib/rules/suggest.ts'
import { renderSuggestions } from '../../lib/view/rules.ts'

export default class RuleSuggest extends QusbCommand {
  static override summary = 'Print rules that would bring about what is attached now.'
  static override description = 'Ready to be put into a file of /etc/qusb/rules.d. Nothing is written.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  async run(): Promise<void> {
    const { flags } = await this.parse(RuleSuggest)
    this.report({ result: await suggestRules(this.context()) }, flags, (result) =>
      renderSuggestions(result, this.terminal()),
    )
  }
}
