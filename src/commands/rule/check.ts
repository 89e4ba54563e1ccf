import { QusbCommand } from '../../cli/command.ts'
import { checkRules } from '../../lib/rules/check.ts'
import { renderRuleCheck } from '../../lib/view/rule-check.ts'

export default class RuleCheck extends QusbCommand {
  static override summary = 'Look for what is wrong with the rules.'
  static override description =
    'Problems, with file, line and column, keep every rule from counting: exit code 2. Findings are worth a look: a rule that never wins behind another, a qube that is not there, and, where qubesd answers, an assignment or a list of denied interfaces that says another thing.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  async run(): Promise<void> {
    const { flags } = await this.parse(RuleCheck)
    this.report(await checkRules(this.context()), flags, (result) => renderRuleCheck(result, this.terminal()))
  }
}
