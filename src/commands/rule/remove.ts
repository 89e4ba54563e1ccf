import { string } from '@oclif/core/args'
import { QusbCommand } from '../../cli/command.ts'
import { removeListedRules } from '../../lib/rules/remove.ts'
import { renderRuleRemoved } from '../../lib/view/rules.ts'

export default class RuleRemove extends QusbCommand {
  static override summary = 'Remove rules.'
  static override description =
    'By the ids that "qusb rule list" shows. A rule that was edited since has another id and is left alone. Nothing is detached.'
  static override examples = ['<%= config.bin %> <%= command.id %> aa189e69']
  static override args = {
    id: string({ description: 'id of a rule, as listed', required: true, multiple: true }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(RuleRemove)
    const result = await removeListedRules(this.context(), args.id)
    this.report({ result }, flags, (shown) => renderRuleRemoved(shown, this.terminal()))
  }
}
