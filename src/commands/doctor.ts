import { string } from '@oclif/core/args'
import { boolean } from '@oclif/core/flags'
import { QusbCommand } from '../cli/command.ts'
import { examine } from '../lib/doctor/doctor.ts'
import type { QusbError } from '../lib/errors.ts'
import { readQube } from '../lib/passthrough/words.ts'
import { loadConfigOrDefaults } from '../lib/site/config.ts'
import { renderDoctor } from '../lib/view/doctor.ts'

export default class Doctor extends QusbCommand {
  static override summary = 'Look whether all is well with what qusb needs, and mend what is safe to mend.'
  static override description =
    'Looks at this dom0, its policy, the USB qubes and every running qube, all at once, and tells what it found and what to do. Without --fix it changes nothing. What is worth knowing and no fault is a warning. The exit code is that of the first error that is left, the one that a command would fail with for it; 0 when there is none.'
  static override examples = [
    { description: 'Everything', command: '<%= config.bin %> doctor' },
    { description: 'Can sys-usb give a device to work?', command: '<%= config.bin %> doctor sys-usb work' },
    { description: 'Mend what is safe to mend', command: '<%= config.bin %> doctor --fix' },
  ]
  static override args = {
    qube: string({ description: 'qubes to look at; by default all that run', multiple: true }),
  }
  static override flags = {
    fix: boolean({
      description:
        'remove grants and state files left over, end what was left open, give stuck devices back, set a damaged state file aside',
    }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Doctor)
    const qubes = (args.qube ?? []).map((name) => readQube(name, 'qube'))
    let configFault: QusbError | undefined
    const context = this.context({
      undoes: flags.fix,
      readConfig: (site) => {
        const { config, fault } = loadConfigOrDefaults(site)
        configFault = fault
        return config
      },
    })
    const outcome = await examine(context, {
      qubes,
      fix: flags.fix,
      program: { node: process.version, bundle: __filename },
      configFault,
    })
    this.report(outcome, flags, (result) => renderDoctor(result, this.terminal()))
  }
}
