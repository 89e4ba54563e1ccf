import { string } from '@oclif/core/args'
import { boolean, integer, string as stringFlag } from '@oclif/core/flags'
import { QusbCommand } from '../../cli/command.ts'
import { askForDevice, askForFrontend } from '../../cli/questions.ts'
import { parseQubeName } from '../../lib/model/names.ts'
import type { Context } from '../../lib/passthrough/context.ts'
import { addRule, lacksDevice } from '../../lib/rules/add.ts'
import { ACTIONS, type Action } from '../../lib/rules/rule.ts'
import { lacksFrontend } from '../../lib/rules/rule-words.ts'
import { renderRuleAdded } from '../../lib/view/rules.ts'

const NOTHING = { backend: undefined, selector: undefined, frontend: undefined }

export default class RuleAdd extends QusbCommand {
  static override summary = 'Add a rule: which qube gets a device whenever it is plugged in.'
  static override description =
    'Writes to 50-qusb.rules in /etc/qusb/rules.d. A device that is named by its port is looked at now, and the rule is about what it is, with its serial; any other selector stands in the rule as it is. "qusb watch --auto" applies the rules.'
  static override examples = [
    {
      description: 'What is at port 2-1 now, into vault, at whichever port of sys-usb it is',
      command: '<%= config.bin %> rule add sys-usb 2-1 vault',
    },
    {
      description: 'Any stick, asked each time',
      command: '<%= config.bin %> rule add class:storage untrusted --action ask',
    },
    {
      description:
        'Nothing that types or points (a security key does, too), from anywhere, before any other rule of the file',
      command: '<%= config.bin %> rule add class:input --action deny --first',
    },
    {
      description: 'The port, whatever is plugged in there',
      command: '<%= config.bin %> rule add sys-usb 2-1 work --port',
    },
  ]
  static override args = {
    backend: string({ description: 'USB qube that has the device; may be left out' }),
    device: string({
      description: 'port, VENDOR:PRODUCT[@SERIAL], class:WORD, name:GLOB, an alias, or * for any',
    }),
    frontend: string({ description: 'qube that gets the device; none where the rule denies' }),
  }
  static override flags = {
    action: stringFlag({ description: 'what is done', options: [...ACTIONS], default: 'allow' }),
    backend: stringFlag({
      description:
        'the rule counts in this USB qube only, or with * in any; by default the one that was named',
      helpValue: 'BACKEND',
    }),
    port: boolean({ description: 'the rule is about the port, whatever is plugged in there' }),
    first: boolean({ description: 'before the other rules of the file, else after them' }),
    start: boolean({
      description: 'start the frontend where it is halted',
      exclusive: ['when-running'],
      default: false,
    }),
    'when-running': boolean({ description: 'the rule counts only while the frontend runs', default: false }),
    delay: integer({
      description: 'seconds to wait before the attach',
      min: 0,
      max: 3600,
      helpValue: 'SECONDS',
    }),
    retry: integer({
      description: 'how often a failed attach is tried again',
      min: 0,
      max: 100,
      helpValue: 'N',
    }),
    notify: boolean({ description: 'say on the desktop what was done', default: false }),
    'dry-run': boolean({ description: 'say what would be added, and do nothing' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(RuleAdd)
    const context = this.context()
    const given = [args.backend, args.device, args.frontend].filter((word) => word !== undefined)
    const action = ACTIONS.find((known) => known === flags.action) ?? 'allow'
    const result = await addRule(context, {
      words: this.mayAsk(flags) ? await this.askForRest(context, given, action) : given,
      action,
      options: {
        start: flags.start,
        whenRunning: flags['when-running'],
        delay: flags.delay ?? 0,
        retry: flags.retry ?? 0,
        notify: flags.notify,
      },
      backend: flags.backend,
      port: flags.port,
      first: flags.first,
      dryRun: flags['dry-run'],
    })
    this.report({ result }, flags, (shown) => renderRuleAdded(shown, this.terminal()))
  }

  /** The words, with those that are missing as the user chooses them. */
  private async askForRest(context: Context, given: string[], action: Action): Promise<string[]> {
    const [first] = given
    const asks = first === undefined || (given.length === 1 && (await lacksDevice(context, given, action)))
    const named = first === undefined ? undefined : parseQubeName(first)
    const place = asks ? await askForDevice(context, { ...NOTHING, backend: named }, true) : undefined
    const words = place === undefined ? given : [`${place.backend}:${place.selector.text}`]
    if (action === 'deny' || !lacksFrontend(words)) return words
    return [...words, await askForFrontend(context, { ...NOTHING, backend: place?.backend }, true)]
  }
}
