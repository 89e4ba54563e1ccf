import { string as stringArg } from '@oclif/core/args'
import { integer, string } from '@oclif/core/flags'
import { startLab } from '../client.ts'
import type { LabStatus } from '../lab.ts'
import { LabCommand } from './lab-command.ts'
import { renderStatus } from './render.ts'

export default class LabUp extends LabCommand {
  static override summary = 'Bring a lab up: qubes, devices and qrexec on this machine.'
  static override description =
    'The lab stays up until `qusb lab down`. The line that begins with `export` tells qusb to use it.'
  static override examples = [
    '<%= config.bin %> lab up',
    'eval "$(<%= config.bin %> lab up | grep ^export)"; <%= config.bin %> list',
  ]
  static override args = {
    FILE: stringArg({ description: 'a file that describes the lab; left out, the lab has a good default' }),
  }
  static override flags = {
    engine: string({
      description: 'what makes the qubes: shell processes, or virtual machines with a real kernel',
      options: ['process', 'kernel'],
      default: 'process',
    }),
    lifetime: integer({ description: 'seconds after which the lab ends by itself', min: 1 }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(LabUp)
    const lab = await startLab({
      file: args.FILE ?? null,
      name: flags.name,
      engine: flags.engine === 'kernel' ? 'kernel' : 'process',
      lifetime: flags.lifetime ?? null,
      bundle: __filename,
    })
    const status = await lab.status()
    const named = flags.name === 'lab' ? '' : ` --name ${flags.name}`
    this.say(
      flags,
      status,
      `${renderStatus(status)}\nexport QUSB_SITE=${quote(lab.site)}\n${inQubes(status)}\nThe lab stays up until: qusb lab down${named}\n`,
    )
  }
}

/** How qusb is run in a management qube: not a line that begins with `export`, which is dom0's. */
const inQubes = ({ qubes }: LabStatus): string =>
  qubes
    .flatMap(({ name, site }) =>
      site === null ? [] : [`# in ${name}: QUSB_SITE=${quote(site)} qusb list\n`],
    )
    .join('')

/** For a shell, only where it needs to be. */
const quote = (path: string): string =>
  /^[A-Za-z0-9_./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
