import { string } from '@oclif/core/args'
import { boolean } from '@oclif/core/flags'
import { QusbCommand } from '../../cli/command.ts'
import { BACKEND_FORMS, DEVICE_FORMS } from '../../cli/flags.ts'
import { askForDevice } from '../../cli/questions.ts'
import { readWords } from '../../lib/passthrough/read-words.ts'
import { addAlias, readAliasName } from '../../lib/rules/aliases.ts'
import { renderAliasAdd } from '../../lib/view/aliases.ts'

export default class AliasAdd extends QusbCommand {
  static override summary = 'Give a device a name of your own.'
  static override description =
    'The name follows the device to any port, by its serial. A device without a serial, or with one that cannot be told apart safely, is pinned to where it is plugged: the PCI address of its USB controller, and the ports from there down, which stay the same over reboots. The name is then taken wherever a device is named, and shown in every list. It may not be the name of a qube.'
  static override examples = [
    {
      description: 'The device at port 2-1 of sys-usb',
      command: '<%= config.bin %> alias add red-key sys-usb 2-1',
    },
    {
      description: 'It shows up as another device in its bootloader',
      command: '<%= config.bin %> alias add board 2e8a:0003 --also',
    },
    {
      description: 'Then',
      command: '<%= config.bin %> attach red-key vault',
    },
  ]
  static override args = {
    name: string({ description: 'lower-case letters, digits and "-"; a letter first', required: true }),
    backend: string({ description: BACKEND_FORMS }),
    device: string({ description: DEVICE_FORMS }),
  }
  static override flags = {
    also: boolean({ description: 'one more device for a name that has some' }),
    pin: boolean({ description: 'to where it is plugged now, though it has a serial' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(AliasAdd)
    const name = readAliasName(args.name)
    const context = this.context()
    const words = await readWords(context, [args.backend, args.device])
    const device = await askForDevice(context, words, this.mayAsk(flags))
    const result = await addAlias(context, { ...device, name, also: flags.also, pin: flags.pin })
    this.report({ result }, flags, (shown) => renderAliasAdd(shown, this.terminal()))
  }
}
