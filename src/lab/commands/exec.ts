import { string } from '@oclif/core/args'
import { execa } from 'execa'
import { LabError } from '../errors.ts'
import { LabCommand } from './lab-command.ts'

export default class LabExec extends LabCommand {
  static override summary = 'Run a program in a qube of a lab.'
  static override description =
    'In a qube with an imported stick `lab-read DISK SKIP COUNT` reads blocks of 512 bytes; `lab-temperature` asks an imported thermometer.'
  static override examples = [
    '<%= config.bin %> lab exec work -- lab-read sda 0 1 | sha256sum',
    '<%= config.bin %> lab exec work -- lab-temperature',
  ]
  static override args = {
    QUBE: string({ description: 'where', required: true }),
    COMMAND: string({
      description: 'the program and its arguments, after --',
      required: true,
      multiple: true,
    }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(LabExec)
    const words = args.COMMAND as unknown
    if (!Array.isArray(words)) throw new LabError('exec needs a command after --')
    const plan = await (await this.open(flags)).execPlan(args.QUBE, words.map(String))
    const { exitCode, signal } = await execa(plan.file, plan.args, {
      env: plan.env,
      extendEnv: false,
      cwd: plan.cwd,
      stdio: 'inherit',
      reject: false,
    })
    process.exitCode = exitCode ?? (signal === undefined ? 1 : 143)
  }
}
