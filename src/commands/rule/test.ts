import { string } from '@oclif/core/args'
import { QusbCommand } from '../../cli/command.ts'
import { BACKEND_FORMS, DEVICE_FORMS } from '../../cli/flags.ts'
import { askForDevice } from '../../cli/questions.ts'
import { readWords } from '../../lib/passthrough/read-words.ts'
import { foresee } from '../../lib/rules/foresee.ts'
import { renderForeseen } from '../../lib/view/rule-check.ts'

export default class RuleTest extends QusbCommand {
  static override summary = 'Tell what would happen if a device were plugged in now.'
  static override description =
    'Nothing is done. Beside the rules, what else has a say is asked: whether the frontend runs, what it is denied, the Qubes policy, an assignment of qubesd. A device that nobody sees can be told of as VENDOR:PRODUCT[@SERIAL].'
  static override examples = [
    '<%= config.bin %> <%= command.id %> sys-usb 2-1',
    '<%= config.bin %> <%= command.id %> 1050:0407@0012345',
  ]
  static override args = {
    backend: string({ description: BACKEND_FORMS }),
    device: string({ description: DEVICE_FORMS }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(RuleTest)
    const context = this.context()
    const words = await readWords(context, [args.backend, args.device])
    const device = await askForDevice(context, words, this.mayAsk(flags))
    this.report({ result: await foresee(context, device) }, flags, (result) =>
      renderForeseen(result, this.terminal()),
    )
  }
}
