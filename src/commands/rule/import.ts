import { string } from '@oclif/core/args'
import { boolean, string as stringFlag } from '@oclif/core/flags'
import { QusbCommand } from '../../cli/command.ts'
import { readInput } from '../../cli/input.ts'
import { QusbError } from '../../lib/errors.ts'
import { readQube } from '../../lib/passthrough/words.ts'
import { FILE_READERS, importAssignments, importDevices } from '../../lib/rules/import.ts'
import { renderRuleAdded } from '../../lib/view/rules.ts'

export default class RuleImport extends QusbCommand {
  static override summary = 'Add rules for what another program says.'
  static override description = `From where:
  qvd       QVD's share list: VENDOR:PRODUCT[@SERIAL], separated by commas, alone or as client.usb.share_list
  usbguard  the allow rules of USBGuard's rules.conf that are about a device or a class
  qubes     the assignments of qubesd; no FILE and no --to

The first two name no qube, so --to does. What cannot be said as a rule is left out, and told.`
  static override examples = [
    {
      description: "A share list of QVD's",
      command: '<%= config.bin %> rule import --from qvd --to work client.conf',
    },
    {
      description: 'What qubesd attaches by itself',
      command: '<%= config.bin %> rule import --from qubes --dry-run',
    },
    {
      description: "USBGuard's rules of the USB qube, asked each time",
      command:
        "qvm-run -p -u root sys-usb 'cat /etc/usbguard/rules.conf' | <%= config.bin %> rule import --from usbguard --to untrusted --action ask",
    },
  ]
  static override args = {
    file: string({ description: 'file to read; by default stdin' }),
  }
  static override flags = {
    from: stringFlag({
      description: 'whose list it is',
      options: ['qvd', 'qubes', 'usbguard'],
      required: true,
    }),
    to: stringFlag({ description: 'the qube that gets the devices', helpValue: 'FRONTEND' }),
    backend: stringFlag({ description: 'the rules count in this USB qube only', helpValue: 'BACKEND' }),
    action: stringFlag({ description: 'what is done', options: ['allow', 'ask'], default: 'allow' }),
    'dry-run': boolean({ description: 'say what would be added, and do nothing' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(RuleImport)
    const options = { dryRun: flags['dry-run'] }
    const reader = flags.from === 'qvd' || flags.from === 'usbguard' ? FILE_READERS[flags.from] : undefined
    if (reader === undefined) {
      const extra = args.file ?? flags.to ?? flags.backend
      if (extra !== undefined) {
        throw new QusbError('USAGE', `qubesd itself is asked, so "${extra}" is one word too many`, {
          hint: `Leave it out: qusb rule import --from ${flags.from}`,
        })
      }
      const result = await importAssignments(this.context(), options)
      return this.report({ result }, flags, (shown) => renderRuleAdded(shown, this.terminal()))
    }
    if (flags.to === undefined) {
      throw new QusbError('USAGE', 'the list names no qube: say with --to which gets the devices', {
        hint: `For example: qusb rule import --from ${flags.from} --to work FILE`,
      })
    }
    const target = {
      frontend: readQube(flags.to, 'frontend'),
      backend: flags.backend === undefined ? undefined : readQube(flags.backend, 'backend'),
      action: flags.action === 'ask' ? ('ask' as const) : ('allow' as const),
    }
    const devices = reader(await readInput(args.file))
    const result = await importDevices(this.context(), devices, target, options)
    this.report({ result }, flags, (shown) => renderRuleAdded(shown, this.terminal()))
  }
}
