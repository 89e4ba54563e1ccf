import { integer } from '@oclif/core/flags'
import { QusbCommand } from '../cli/command.ts'
import { history } from '../lib/passthrough/history.ts'
import { renderHistory, renderHistoryLines } from '../lib/view/history.ts'

export default class History extends QusbCommand {
  static override summary = 'Tell what was attached and detached, when, by whom, and how it ended.'
  static override description =
    'The file is bounded and rotated. "history" in the configuration switches it off, or keeps disposables off the disk.'
  static override examples = [
    { description: 'The latest', command: '<%= config.bin %> history' },
    { description: 'The last five, for a script', command: '<%= config.bin %> history --limit 5 --json' },
  ]
  static override flags = {
    limit: integer({ description: 'the latest N events', default: 50, min: 1, max: 100_000, helpValue: 'N' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(History)
    const result = await history(this.context(), flags.limit)
    this.report({ result }, flags, (shown) =>
      process.stdout.isTTY === true ? renderHistory(shown, this.terminal()) : renderHistoryLines(shown),
    )
  }
}
