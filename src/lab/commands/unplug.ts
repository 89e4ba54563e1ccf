import { string } from '@oclif/core/args'
import { LabCommand } from './lab-command.ts'

export default class LabUnplug extends LabCommand {
  static override summary = 'Pull a device out, whatever it is doing.'
  static override examples = ['<%= config.bin %> lab unplug sys-usb 2-1']
  static override args = {
    BACKEND: string({ description: 'the qube that has it', required: true }),
    PORT: string({ description: 'its port', required: true }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(LabUnplug)
    await (await this.open(flags)).unplug(args.BACKEND, args.PORT)
    this.say(
      flags,
      { backend: args.BACKEND, port: args.PORT },
      `${args.PORT} is unplugged from ${args.BACKEND}\n`,
    )
  }
}
