import { string } from '@oclif/core/args'
import { QusbCommand } from '../cli/command.ts'
import { BACKEND_FORMS, DEVICE_FORMS } from '../cli/flags.ts'
import { askForDevice } from '../cli/questions.ts'
import { readWords } from '../lib/passthrough/read-words.ts'
import { foresee } from '../lib/rules/foresee.ts'
import { renderExplanation } from '../lib/view/rule-check.ts'

export default class Explain extends QusbCommand {
  static override summary = 'Tell which rule decides on a device, and for each other why it does not.'
  static override description = 'Nothing is done. With --json the same document as of "qusb rule test".'
  static override examples = [
    '<%= config.bin %> <%= command.id %> sys-usb 2-1',
    '<%= config.bin %> <%= command.id %> 1050:0407@0012345',
  ]
  static override args = {
    backend: string({ description: BACKEND_FORMS }),
    device: string({ description: DEVICE_FORMS }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Explain)
    const context = this.context()
    const words = await readWords(context, [args.backend, args.device])
    const device = await askForDevice(context, words, this.mayAsk(flags))
    this.report({ result: await foresee(context, device) }, flags, (result) =>
      renderExplanation(result, this.terminal()),
    )
  }
}
