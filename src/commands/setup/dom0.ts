import { boolean, string } from '@oclif/core/flags'
import { QusbCommand } from '../../cli/command.ts'
import { QusbError } from '../../lib/errors.ts'
import type { SetupResult } from '../../lib/passthrough/results.ts'
import { carryOut, findGroup, planSetup } from '../../lib/site/setup.ts'
import { loadSite } from '../../lib/site/site.ts'
import { renderSetup } from '../../lib/view/setup.ts'

export default class SetupDom0 extends QusbCommand {
  static override summary = 'Make the directories of qusb in this dom0.'
  static override description =
    `Makes the directories for state, configuration, rules and runtime with their group and mode, and a tmpfiles.d
file that makes the last at every boot. What is in place is left alone: twice is once. Needs root.`
  static override examples = [
    'sudo <%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --dry-run',
  ]
  static override flags = {
    group: string({ description: 'whose members may use qusb', default: 'qubes', helpValue: 'NAME' }),
    'dry-run': boolean({ description: 'say what would be done, and do nothing' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(SetupDom0)
    const site = loadSite(process.env.QUSB_SITE)
    const owner = { uid: 0, gid: findGroup(flags.group, '/etc/group'), user: 'root', group: flags.group }
    const steps = planSetup(site, owner)
    const result: SetupResult = { schema: 1, changed: false, done: [] }
    if (flags['dry-run']) {
      result.plan = steps
        .filter((step) => step.action !== 'unchanged')
        .map((step) => ({
          step: step.action === 'made' ? 'make' : 'change',
          what: `${step.path}  ${step.what}`,
        }))
    } else {
      if (process.getuid?.() !== 0) {
        throw new QusbError('REFUSED', 'only root can set up dom0', { hint: 'sudo qusb setup dom0' })
      }
      carryOut(steps)
      result.changed = steps.some((step) => step.action !== 'unchanged')
      result.done = steps.map(({ path, action, what }) => ({ path, action, what }))
    }
    this.report({ result }, flags, (result) => renderSetup(result, this.terminal()))
  }
}
