import { QusbCommand } from '../../cli/command.ts'
import { listAliases } from '../../lib/rules/aliases.ts'
import { renderAliasLines, renderAliasList } from '../../lib/view/aliases.ts'

export default class AliasList extends QusbCommand {
  static override summary = 'List your names for devices, and what each means.'
  static override description =
    'Reads them only: "qusb list" shows which of them are plugged in. Into a pipe, one device a line, tab-separated: name, vid:pid, serial, where it is pinned, description; "-" for none.'
  static override examples = [{ description: 'All of them', command: '<%= config.bin %> alias list' }]

  async run(): Promise<void> {
    const { flags } = await this.parse(AliasList)
    const result = await listAliases(this.context({ undoes: false }))
    this.report({ result }, flags, ({ aliases }) =>
      process.stdout.isTTY === true ? renderAliasList(aliases, this.terminal()) : renderAliasLines(aliases),
    )
  }
}
