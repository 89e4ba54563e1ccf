import { endLab } from '../client.ts'
import { LabCommand } from './lab-command.ts'

export default class LabDown extends LabCommand {
  static override summary = 'End a lab and remove all of it.'
  static override examples = ['<%= config.bin %> lab down']

  async run(): Promise<void> {
    const { flags } = await this.parse(LabDown)
    const changed = await endLab(flags.name)
    const words = changed ? `lab ${flags.name} is down` : `there was no lab ${flags.name}`
    this.say(flags, { changed, name: flags.name }, `${words}\n`)
  }
}
