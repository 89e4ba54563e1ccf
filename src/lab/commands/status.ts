import { LabCommand } from './lab-command.ts'
import { renderStatus } from './render.ts'

export default class LabStatusCommand extends LabCommand {
  static override summary = 'Show the qubes and devices of a lab.'
  static override examples = ['<%= config.bin %> lab status', '<%= config.bin %> lab status --json']

  async run(): Promise<void> {
    const { flags } = await this.parse(LabStatusCommand)
    const status = await (await this.open(flags)).status()
    this.say(flags, status, renderStatus(status))
  }
}
