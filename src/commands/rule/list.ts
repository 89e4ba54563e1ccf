import { QusbCommand } from '../../cli/command.ts'
import { listRules } from '../../lib/rules/list.ts'
import { loadSite } from '../../lib/site/site.ts'
import { renderRuleLines, renderRuleList } from '../../lib/view/rules.ts'

export default class RuleList extends QusbCommand {
  static override summary = 'List the rules in the order in which they are looked at.'
  static override description =
    'The rules are those of every *.rules file in /etc/qusb/rules.d, by the names of the files; the first that is about a device decides. Into a pipe, one rule a line, tab-separated: id, device, backend, frontend, action, options, file:line.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
  ]

  async run(): Promise<void> {
    const { flags } = await this.parse(RuleList)
    this.report({ result: listRules(loadSite(process.env.QUSB_SITE)) }, flags, (result) =>
      process.stdout.isTTY === true ? renderRuleList(result, this.terminal()) : renderRuleLines(result),
    )
  }
}
