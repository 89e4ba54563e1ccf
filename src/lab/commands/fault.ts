import { string as stringArg } from '@oclif/core/args'
import { boolean, string } from '@oclif/core/flags'
import { FAULTS, type FaultKind, type FaultName } from '../faults.ts'
import { LabCommand } from './lab-command.ts'

const names = Object.keys(FAULTS) as FaultName[]
const widest = Math.max(...names.map((name) => name.length))

function describe(name: FaultName): string {
  const { description, value, once }: FaultKind = FAULTS[name]
  const notes = [value === undefined ? '' : `--value: ${value}`, once ? 'cannot be taken back' : '']
  const said = notes.filter((note) => note !== '').join('; ')
  return `  ${name.padEnd(widest + 2)}${description}${said === '' ? '' : ` (${said})`}`
}

export default class LabFault extends LabCommand {
  static override summary = 'Break something in a lab, or mend it with --off.'
  static override description = `Faults:\n${names.map(describe).join('\n')}`
  static override examples = [
    '<%= config.bin %> lab fault link-stalled sys-usb',
    '<%= config.bin %> lab fault link-stalled sys-usb --off',
    '<%= config.bin %> lab fault slow-attach sys-usb --value 3',
  ]
  static override args = {
    NAME: stringArg({ description: 'what to break', required: true, options: names }),
    QUBE: stringArg({ description: 'where' }),
  }
  static override flags = {
    off: boolean({ description: 'take the fault back' }),
    value: string({ description: 'what some faults need to know' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(LabFault)
    const name = args.NAME as FaultName
    const qube = args.QUBE ?? null
    const lab = await this.open(flags)
    await lab.fault(name, qube, {
      off: flags.off,
      ...(flags.value === undefined ? {} : { value: flags.value }),
    })
    const where = qube === null ? '' : ` ${qube}`
    this.say(
      flags,
      { fault: { name, qube, on: !flags.off } },
      `${name}${where} ${flags.off ? 'off' : 'on'}\n`,
    )
  }
}
