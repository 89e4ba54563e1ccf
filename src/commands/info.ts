import { string } from '@oclif/core/args'
import { QusbCommand } from '../cli/command.ts'
import { BACKEND_FORMS, DEVICE_FORMS } from '../cli/flags.ts'
import { askForDevice } from '../cli/questions.ts'
import { info } from '../lib/passthrough/info.ts'
import { readWords } from '../lib/passthrough/read-words.ts'
import { renderInfo } from '../lib/view/info.ts'

export default class Info extends QusbCommand {
  static override summary = 'Tell all that is known of one device, and what to know before giving it away.'
  static override examples = [
    { description: 'The device at port 2-1 of sys-usb', command: '<%= config.bin %> info sys-usb 2-1' },
    { description: 'By what it is, wherever it is plugged', command: '<%= config.bin %> info 1050:0407' },
  ]
  static override args = {
    backend: string({ description: BACKEND_FORMS }),
    device: string({ description: DEVICE_FORMS }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Info)
    const context = this.context()
    const words = await readWords(context, [args.backend, args.device])
    const device = await askForDevice(context, words, this.mayAsk(flags))
    this.report({ result: await info(context, device) }, flags, (result) =>
      renderInfo(result, this.terminal()),
    )
  }
}
