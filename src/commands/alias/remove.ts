import { string } from '@oclif/core/args'
import { QusbCommand } from '../../cli/command.ts'
import { readAliasName, removeAlias } from '../../lib/rules/aliases.ts'
import { renderAliasRemove } from '../../lib/view/aliases.ts'

export default class AliasRemove extends QusbCommand {
  static override summary = 'Take a name away from its devices.'
  static override description =
    'What is attached stays so. Removing a name that nothing has is a success. Rules about the name are told: while one is left, no rule counts.'
  static override examples = [{ description: 'No longer', command: '<%= config.bin %> alias remove red-key' }]
  static override args = {
    alias: string({ description: 'the name', required: true }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(AliasRemove)
    const name = readAliasName(args.alias)
    const result = await removeAlias(this.context({ undoes: false }), name)
    this.report({ result }, flags, (shown) => renderAliasRemove(shown, name, this.terminal()))
  }
}
