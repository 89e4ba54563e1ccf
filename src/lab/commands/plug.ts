import { string as stringArg } from '@oclif/core/args'
import { boolean, string } from '@oclif/core/flags'
import { WORDS } from '../../lib/model/parsing.ts'
import { DEVICE_KINDS } from '../devices/kinds.ts'
import { LabError } from '../errors.ts'
import { deviceSchema, KERNEL_ONLY_KINDS } from '../file/schema.ts'
import { LabCommand } from './lab-command.ts'

const kinds: Readonly<Record<string, string>> = { ...DEVICE_KINDS, ...KERNEL_ONLY_KINDS }

export default class LabPlug extends LabCommand {
  static override summary = 'Plug a device into a backend.'
  static override description = `Kinds of device:\n${Object.entries(kinds)
    .map(([kind, what]) => `  ${kind.padEnd(14)}${what}`)
    .join('\n')}`
  static override examples = ['<%= config.bin %> lab plug sys-usb stick --port 2-3 --serial 4711']
  static override args = {
    BACKEND: stringArg({ description: 'the qube that gets it', required: true }),
    KIND: stringArg({ description: 'what kind of device', required: true, options: Object.keys(kinds) }),
  }
  static override flags = {
    port: string({ description: 'where, such as 2-3 or 1-4.2; left out, the first free port' }),
    serial: string({ description: 'its serial; an empty one for none' }),
    hidden: boolean({ description: 'do not publish it, as a device that is hidden on purpose' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(LabPlug)
    const parsed = deviceSchema.safeParse(
      {
        backend: args.BACKEND,
        kind: args.KIND,
        hidden: flags.hidden,
        ...(flags.port === undefined ? {} : { port: flags.port }),
        ...(flags.serial === undefined ? {} : { serial: flags.serial === '' ? null : flags.serial }),
      },
      WORDS,
    )
    if (!parsed.success) throw new LabError(parsed.error.issues[0]?.message ?? 'no such device')
    const device = await (await this.open(flags)).plug(parsed.data)
    this.say(flags, { device }, `${device.kind} is plugged into ${device.backend} at ${device.port}\n`)
  }
}
